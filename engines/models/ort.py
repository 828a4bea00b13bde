"""Run ONNX Runtime's CPU provider, with its errors as EngineError."""

import re
from collections.abc import Callable
from typing import Any

from engines.core.errors import EngineError

PROVIDERS = ["CPUExecutionProvider"]


def translated(call: Callable[[], Any]) -> Any:
    """Return the result of the call; ONNX Runtime's exceptions become EngineError."""
    try:
        return call()
    except (MemoryError, OSError):
        raise
    except Exception as error:
        text = one_line(error)
        kind = "out_of_memory" if "bad_alloc" in text or "Failed to allocate memory" in text else "refused"
        raise EngineError(text, kind=kind) from error


def one_line(error: Exception) -> str:
    """Return ONNX Runtime's message without its codes and line breaks."""
    text = " ".join(str(error).split())
    return re.sub(r"^\[ONNXRuntimeError\] : \d+ : (\w+ : )?", "", text) or type(error).__name__
