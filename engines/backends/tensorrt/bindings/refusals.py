"""Turn the vendor's errors into EngineErrors with what its library logged, without source locations."""

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from engines.backends.tensorrt.bindings.monitor import Messages
from engines.core.errors import EngineError

T = TypeVar("T")
SILENT = "the vendor's library gives no reason"
MEMORY = ("out of memory", "outofmemory", "insufficient memory")
# logged beside every other error where no driver is there
NOISE = "cudaError 35:"


def guarded(call: Callable[[], T | None], messages: Messages) -> T:
    """Return the result of the vendor's call; raises EngineError with its log if that is None."""
    with explained(messages):
        made = call()
    if made is None:
        raise _refusal(messages.take_errors())
    return made


@contextmanager
def explained(messages: Messages) -> Iterator[None]:
    """Turns what is raised inside, by the vendor's module or about it, into an EngineError with the log."""
    messages.take_errors()
    try:
        yield
    except EngineError as error:
        logged = _joined(messages.take_errors())
        raise EngineError(f"{error.message}: {logged}" if logged else error.message, error.hint) from error
    except (RuntimeError, TypeError, ValueError) as error:
        raise _refusal([*messages.take_errors(), str(error).partition("\n")[0]]) from error


def plain(text: str) -> str:
    """A message on one line, without where in the vendor's source it arose and without a final full stop."""
    text = re.sub(r"\[\w+\.(cpp|h|hpp)[^\]]*\]\s*", "", text)
    text = re.sub(r"\s*\bIn \S+ at \S+:\d+", "", text)
    return " ".join(text.split()).rstrip(".")


def without_noise(errors: Iterable[str]) -> list[str]:
    """The messages, each once; the missing driver's only where nothing else is said."""
    said = list(errors)
    telling = [error for error in said if NOISE not in error] or said
    return [text for text in dict.fromkeys(map(plain, telling)) if text]


def _refusal(errors: Iterable[str]) -> EngineError:
    text = _joined(errors) or SILENT
    return EngineError(text, kind="out_of_memory" if _is_memory(text) else "refused")


def _joined(errors: Iterable[str]) -> str:
    return "; ".join(without_noise(errors)[:2])


def _is_memory(text: str) -> bool:
    return any(words in text.lower() for words in MEMORY)
