"""What callers of the Python API give, brought to the types of the options, or refused in one line."""

import os
import reprlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_origin

import msgspec
import numpy as np

from engines.core.errors import UserError
from engines.core.values import Policy, Shape, Value, text_of
from engines.shapes.text import UNNAMED, format_shapes, parse_shapes
from studies.core.options import Spelling, Units
from tuner.options import checks
from tuner.options.fields import Option

AnyPath = str | os.PathLike[str]
Texts = str | Iterable[str]
Paths = AnyPath | Iterable[AnyPath]
# text such as 30m or 1%, or a number of seconds or a share
Amount = float | str
Shapes = str | Iterable[str] | Mapping[str, str | Iterable[int]]
Fixed = str | Iterable[str] | Mapping[str, Value | Iterable[Value]]


@dataclass(frozen=True)
class Kind:
    """What an argument is to be.

    `accepts` is how Python annotates it; `convert` brings a value to it, and raises TypeError or
    msgspec.ValidationError for any other.
    """

    what: str
    accepts: Any
    convert: Callable[[Any], Any]
    hint: str = ""


def option(call: str, one: Option, value: Any) -> Any:
    """Return the value of the option from any accepted Python type; raises UserError."""
    return None if value is None and one.default is None else argument(call, one.name, value, kind_of(one))


def argument(call: str, name: str, value: Any, kind: Kind) -> Any:
    """Return the value converted to the kind; raises UserError with the name of the argument."""
    try:
        return kind.convert(value)
    except (TypeError, msgspec.ValidationError) as error:
        raise UserError(
            f"{call}() wants {name} as {kind.what}, not {_in_a_line(value)}", kind.hint
        ) from error


def kind_of(one: Option) -> Kind:
    """Return the kind of the option, from its spelling or unit, else from its type."""
    spelling, unit = one.mark(Spelling), one.mark(Units)
    if spelling is not None:
        return SPELLINGS[spelling.name]
    if unit is not None:
        return UNITS[unit.name]
    if get_origin(one.value_type) is Literal:
        return Kind("text", one.value_type, TEXT.convert)
    return KINDS[one.value_type]


def _in_a_line(value: Any) -> str:
    return " ".join(reprlib.repr(value).split())


def _as(wanted: Any) -> Callable[[Any], Any]:
    return lambda value: msgspec.convert(_plain(value), wanted, dec_hook=_path)


def _several(wanted: Any) -> Callable[[Any], Any]:
    """Convert a list, or the one that stands for a list of its own."""

    def convert(value: Any) -> Any:
        plain = _plain(value)
        several = [plain] if isinstance(plain, str) else plain
        return msgspec.convert(several, tuple[wanted, ...], dec_hook=_path)

    return convert


def _path(_: type, value: Any) -> Path:
    """Paths are the one type here that msgspec does not know."""
    return Path(msgspec.convert(value, str))


def _plain(value: Any) -> Any:
    """Return the value with numpy types, paths and iterators converted to types that msgspec knows."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | bytearray):
        return [_plain(one) for one in value]
    return value


def _truth(value: Any) -> bool:
    plain = _plain(value)
    return bool(plain) if type(plain) is int and plain in (0, 1) else msgspec.convert(plain, bool)


def _amount(parse: Callable[[str], float | None]) -> Callable[[Any], Any]:
    return lambda value: msgspec.convert(parse(value) if isinstance(value, str) else _plain(value), float)


def _shapes(value: Any) -> tuple[str, ...]:
    if not isinstance(value, Mapping):
        return TEXTS.convert(value)  # type: ignore[no-any-return]
    shapes = msgspec.convert(_plain(value), dict[str, str | Shape])
    return tuple(format_shapes({name: _shape(shape)}) for name, shape in shapes.items())


def _shape(value: str | Shape) -> Shape:
    return msgspec.convert(parse_shapes((value,)).get(UNNAMED), Shape) if isinstance(value, str) else value


def _fixed(value: Any) -> tuple[str, ...]:
    if not isinstance(value, Mapping):
        return TEXTS.convert(value)  # type: ignore[no-any-return]
    settings = msgspec.convert(_plain(value), dict[str, Value | tuple[Value, ...]])
    chosen = {name: one if isinstance(one, tuple) else (one,) for name, one in settings.items()}
    return tuple(f"{name}={','.join(map(text_of, values))}" for name, values in chosen.items())


def _policy(value: Any) -> Policy:
    if not isinstance(value, Policy):
        raise TypeError
    return value


TEXT = Kind("text", str, _as(str))
TEXTS = Kind("text or a list of texts", Texts, _several(str))
WHOLE = Kind("a whole number", int, _as(int))
PATH = Kind("a path", AnyPath, _as(Path))
TRUTH = Kind("True or False", bool, _truth)
KINDS: Mapping[Any, Kind] = {
    bool: TRUTH,
    int: WHOLE,
    float: Kind("a number", float, _as(float)),
    str: TEXT,
    Path: PATH,
    tuple[str, ...]: TEXTS,
    tuple[Path, ...]: Kind("a path or a list of paths", Paths, _several(Path)),
}
UNITS: Mapping[str, Kind] = {
    "seconds": Kind("a time", Amount, _amount(checks.parse_seconds), checks.TIMES),
    "share": Kind("a share", Amount, _amount(checks.parse_share), checks.SHARES),
}
# options that accept more spellings than their type, or have a better message
SPELLINGS: Mapping[str, Kind] = {
    "shapes": Kind("text, a list of texts or a dict", Shapes, _shapes, "Write 'x:8x64' or {'x': (8, 64)}."),
    "settings": Kind(
        "text, a list of texts or a dict", Fixed, _fixed, "Write 'precision=fp32' or {'precision': 'fp32'}."
    ),
    "list": Kind(
        "text or a list of texts",
        Texts,
        lambda value: ",".join(TEXTS.convert(value)),
        "Write 'fp32,int8' or ['fp32', 'int8'].",
    ),
    "npz": Kind("a path", AnyPath, _as(Path), "Save the data with numpy.savez, and give the file."),
    "functions": Kind("text or a list of texts", Texts, TEXTS.convert, "Write '[NAME=]FILE.py:FUNCTION'."),
    # which may be a file
    "database": Kind("text", AnyPath, _as(str)),
    "policy": Kind("a Policy", Policy, _policy),
}
