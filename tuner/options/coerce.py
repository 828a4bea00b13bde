"""What callers of the Python API give, brought to the types of the options, or refused in one line."""

import os
import reprlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from numbers import Integral, Real
from pathlib import Path, PurePath
from types import NoneType, UnionType
from typing import Any, get_args

import numpy as np

from engines.core.errors import UserError
from engines.core.values import Policy, Shape
from engines.shapes.text import UNNAMED, format_shapes, parse_shapes
from tuner.options import units
from tuner.options.search import Mode, SearchOptions


@dataclass(frozen=True)
class Kind:
    """What an argument is to be; `convert` brings a value to it, and raises TypeError for any other."""

    what: str
    convert: Callable[[Any], Any]
    hint: str = ""


def option(call: str, name: str, value: Any) -> Any:
    """The value of one of SearchOptions, out of any spelling that it may have in Python; raises UserError."""
    return argument(call, name, value, OPTIONS[name])


def argument(call: str, name: str, value: Any, wanted: Any) -> Any:
    """The value as the annotation `wanted` has it; raises UserError, which names the argument of the call."""
    kinds = get_args(wanted) if isinstance(wanted, UnionType) else (wanted,)
    if value is None and NoneType in kinds:
        return None
    kind = NAMED.get(name) or KINDS[kinds[0]]
    try:
        return kind.convert(value)
    except (TypeError, OverflowError) as error:
        raise UserError(
            f"{call}() wants {name} as {kind.what}, not {_in_a_line(value)}", kind.hint
        ) from error


def _in_a_line(value: Any) -> str:
    return " ".join(reprlib.repr(value).split())


def _truth(value: Any) -> bool:
    if isinstance(value, Integral) and value in (0, 1):
        return bool(value)
    return bool(_only(value, bool, np.bool_))


def _whole(value: Any) -> int:
    return int(_no_truth(_only(value, Integral)))


def _number(value: Any) -> float:
    return float(_no_truth(_only(value, Real)))


def _text(value: Any) -> str:
    # a path where the option may name a file, as the storage does
    return str(_only(value, str, PurePath))


def _path(value: Any) -> Path:
    return Path(_only(value, str, os.PathLike))


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(_text(one) for one in _several(value, str))


def _paths(value: Any) -> tuple[Path, ...]:
    return tuple(_path(one) for one in _several(value, str, os.PathLike))


def _seconds(value: Any) -> float:
    return _number(units.parse_seconds(value) if isinstance(value, str) else value)


def _share(value: Any) -> float:
    return _number(units.parse_share(value) if isinstance(value, str) else value)


def _shapes(value: Any) -> tuple[str, ...]:
    if not isinstance(value, Mapping):
        return _texts(value)
    return tuple(format_shapes({_text(name): _shape(shape)}) for name, shape in value.items())


def _shape(value: Any) -> Shape:
    sizes = parse_shapes((value,)).get(UNNAMED) if isinstance(value, str) else value
    return tuple(_whole(size) for size in _several(sizes))


def _fixed(value: Any) -> tuple[str, ...]:
    if not isinstance(value, Mapping):
        return _texts(value)
    return tuple(f"{_text(name)}={_settings(chosen)}" for name, chosen in value.items())


def _settings(value: Any) -> str:
    return ",".join(_setting(one) for one in _several(value, *_SETTING))


def _setting(value: Any) -> str:
    text = str(_only(value, *_SETTING))
    return text if isinstance(value, str) else text.lower()  # True is spelled true


_SETTING = (str, Real, np.bool_)


def _several(value: Any, *alone: type) -> Iterable[Any]:
    """The items of a list, or the one that stands for a list of its own, being of the types `alone`."""
    if isinstance(value, alone):
        return (value,)
    if isinstance(value, str | bytes | bytearray | Mapping):
        raise TypeError
    return list(value)


def _only(value: Any, *types: type) -> Any:
    if not isinstance(value, types):
        raise TypeError
    return value


def _no_truth(value: Any) -> Any:
    if isinstance(value, bool):
        raise TypeError
    return value


OPTIONS: Mapping[str, Any] = {one.name: one.type for one in fields(SearchOptions)}
KINDS: Mapping[Any, Kind] = {
    bool: Kind("True or False", _truth),
    int: Kind("a whole number", _whole),
    float: Kind("a number", _number),
    str: Kind("text", _text),
    Path: Kind("a path", _path),
    Mode: Kind("text", _text),
    Policy: Kind("a Policy", lambda value: _only(value, Policy)),
    tuple[str, ...]: Kind("text or a list of texts", _texts),
    tuple[Path, ...]: Kind("a path or a list of paths", _paths),
}
_SHAPES = Kind("text, a list of texts or a dict", _shapes, "Write 'x:8x64' or {'x': (8, 64)}.")
_TIME = Kind("a time", _seconds, units.TIMES)
# what may be given in more spellings than its type, or is told better
NAMED: Mapping[str, Kind] = {
    "timeout": _TIME,
    "trial_timeout": _TIME,
    "deadline": _TIME,
    "min_gain": Kind("a share", _share, units.SHARES),
    "shapes": _SHAPES,
    "min_shapes": _SHAPES,
    "opt_shapes": _SHAPES,
    "max_shapes": _SHAPES,
    "override_shapes": _SHAPES,
    "precision": Kind(
        "text or a list of texts",
        lambda value: ",".join(_texts(value)),
        "Write 'fp32,int8' or ['fp32', 'int8'].",
    ),
    "fix": Kind(
        "text, a list of texts or a dict", _fixed, "Write 'precision=fp32' or {'precision': 'fp32'}."
    ),
    "inputs": Kind("a path", _path, "Save the data with numpy.savez, and give the file."),
    "metrics": Kind("text or a list of texts", _texts, "Write '[NAME=]FILE.py:FUNCTION'."),
}
