"""Shapes as people write them: x:8x3x224x224,y:1x128 (trtexec), x:[8,3,224,224] (Polygraphy), 8x3x224x224."""

import re
from collections.abc import Mapping, Sequence

from engines.core.errors import UserError
from engines.core.values import Shape

UNNAMED = ""

_HOW_TO_WRITE = "Write NAME:DIMENSIONS, such as x:8x3x224x224,y:1x128 or x:[8,3,224,224]."

# a quoted name may contain any character, and brackets contain the dimensions
_ITEM = re.compile(r"""(?:'[^']*'|"[^"]*"|\[[^\]]*\]|[^\s,'"\[\]])+""")
_NAMED = re.compile(r"""(?:'(?P<single>[^']+)'|"(?P<double>[^"]+)"|(?P<plain>[^'"\[\]]+)):(?P<dims>[^:]*)""")
_CROSSES = re.compile(r"-?\d+(?:x-?\d+)*")
_LIST = re.compile(r"\[\s*(?:-?\d+(?:\s*[,x\s]\s*-?\d+)*\s*,?\s*)?\]")


def parse_shapes(texts: Sequence[str]) -> dict[str, Shape]:
    """Return the shape of each named input; a shape without a name is that of UNNAMED.

    Raises UserError for text that cannot be read, dimensions below 1, and an input given twice.
    """
    shapes: dict[str, Shape] = {}
    for text in texts:
        for item in _items(text):
            name, shape = _parse_item(item)
            if name in shapes:
                of = f"the input {name!r}" if name else "the input"
                raise UserError(f"the shape of {of} is given twice", "Give each input one shape.")
            shapes[name] = shape
    return shapes


def format_shapes(shapes: Mapping[str, Sequence[int | str | None]]) -> str:
    """Return the shapes in trtexec's spelling; names with special characters are quoted."""
    return ",".join(f"{_quoted(name)}:{format_dims(shape)}" for name, shape in shapes.items())


def format_dims(shape: Sequence[int | str | None]) -> str:
    """Return the dimensions as text: 8x3x224x224, "scalar" if there are none, ? for one without a name."""
    return "x".join("?" if dim is None else str(dim) for dim in shape) if shape else "scalar"


def _items(text: str) -> list[str]:
    items = _ITEM.findall(text)
    between = _ITEM.sub("", text)
    if not items or between.strip(" \t\n,"):
        raise _unreadable(text)
    return items


def _parse_item(item: str) -> tuple[str, Shape]:
    match = _NAMED.fullmatch(item)
    if match is None:
        return UNNAMED, _parse_dims(item, item)
    name = match["single"] or match["double"] or match["plain"]
    return name, _parse_dims(match["dims"], item)


def _parse_dims(dims: str, item: str) -> Shape:
    if dims == "scalar":
        return ()
    if not (_CROSSES.fullmatch(dims) or _LIST.fullmatch(dims)):
        raise _unreadable(item)
    shape = tuple(int(number) for number in re.findall(r"-?\d+", dims))
    if any(dim < 1 for dim in shape):
        raise UserError(
            f"a dimension below 1 in the shape {item!r}",
            "Give every dimension the size that is to be measured.",
        )
    return shape


def _unreadable(text: str) -> UserError:
    return UserError(f"cannot read the shape {text!r}", _HOW_TO_WRITE)


def _quoted(name: str) -> str:
    if not re.search(r"[\s,:\[\]'\"]", name):
        return name
    return f'"{name}"' if "'" in name else f"'{name}'"
