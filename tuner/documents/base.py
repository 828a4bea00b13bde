"""What all documents for other programs have in common; docs/json.md is made from the descriptions in them.

A field is added without notice; none changes its meaning or goes away without a new number in `schema`.
"""

import json
import math
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from engines.core.wire import to_plain
from engines.statistics import estimates

SCHEMA = 1
T = TypeVar("T", bound=msgspec.Struct)

Time = Annotated[str, Meta(title="time")]


def about(text: str) -> Meta:
    """Return what a field means, as docs/json.md has it."""
    return Meta(description=text)


class Document(msgspec.Struct, forbid_unknown_fields=True):
    """An object of a document. Its fields are those of the document, in their order."""


class Numbered(Document):
    """A whole document."""

    schema: Annotated[int, about("1")]


class Estimate(Document):
    """A number with its 95 % interval, which is of 95 % for several numbers at once where that is said."""

    value: Annotated[float | None, about("the number, in the unit of its metric; null when it is not finite")]
    low: Annotated[float | None, about("lower end of the interval; null for what is exact")]
    high: Annotated[float | None, about("upper end")]


class Machine(Document):
    """What something was measured on."""

    kind: Annotated[str, about("`cpu`, `gpu` or `simulated`")]
    processor: Annotated[str, about("its model")]
    cores: Annotated[int, about("cores that may be used")]
    memory_bytes: Annotated[int, about("its memory")]
    system: Annotated[str, about("operating system")]
    driver: Annotated[str | None, about("of the GPU")]
    libraries: Annotated[dict[str, str], about("versions of the libraries that ran")]
    limits: Annotated[dict[str, Any], about("limits that hold, such as of power")]


class Failure(Document):
    """Why something has no measurement."""

    stage: Annotated[
        str,
        about(
            "where it failed: `graph`, `build`, `wait` (for the GPU), `load`, `check`, `warm-up`, "
            "`measure` or `prepare`"
        ),
    ]
    kind: Annotated[
        str,
        about(
            "`refused`, `crashed`, `timeout`, `out_of_memory`, `not_finite`, `wrong_output`, `disk_full` or "
            "`internal`"
        ),
    ]
    message: Annotated[str, about("what happened")]
    hint: Annotated[str, about("what to do, where there is something")]


class Backend(Document):
    name: Annotated[str, about("`onnxruntime`, `tensorrt`, ...")]
    options: Annotated[dict[str, Any], about("options given to it")]


def made(of: type[T], value: object) -> T:
    """Return the document of a value that has the same fields; raises ValidationError where it has others."""
    return msgspec.convert(to_plain(value), of)


def estimate_of(estimate: estimates.Estimate) -> Estimate:
    """Return the estimate with what is not finite as None."""
    return Estimate(value=finite(estimate.value), low=finite(estimate.low), high=finite(estimate.high))


def finite(value: float | None) -> float | None:
    """Return the value, None where it is not finite."""
    return value if value is not None and math.isfinite(value) else None


def dump(document: Document) -> str:
    """Return the document as text; raises ValueError for a number that is not finite."""
    return json.dumps(msgspec.to_builtins(document), indent=2, allow_nan=False) + "\n"
