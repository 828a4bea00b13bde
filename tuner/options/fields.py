"""The options that classes of annotated fields describe (see `studies.core.options`), each by its own name.

A field whose type is such a class itself is a group: its options are options of the class around it too.
"""

from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, cast, get_args

from studies.core.options import Flags, Help, Metavar, Name, Positional

M = TypeVar("M")
T = TypeVar("T")


@dataclass(frozen=True)
class Option:
    """One option: `value_type` is without None, and `default` is MISSING where the option has to be given."""

    name: str
    value_type: Any
    default: Any
    marks: tuple[Any, ...]

    @property
    def help(self) -> Help:
        """What it does."""
        found = self.mark(Help)
        assert found is not None
        return found

    @property
    def flags(self) -> tuple[str, ...]:
        """How the command spells it."""
        given = self.mark(Flags)
        return given.names if given else ("--" + self.name.replace("_", "-"),)

    @property
    def metavar(self) -> str | None:
        """What stands for its value in --help; None where that is made from the type."""
        positional, given = self.mark(Positional), self.mark(Metavar)
        return positional.metavar if positional else given.text if given else None

    def mark(self, kind: type[M]) -> M | None:
        """Return the annotation of this kind that is nearest to the field; None without one."""
        return next((one for one in reversed(self.marks) if isinstance(one, kind)), None)


@cache
def options_of(kind: type) -> Mapping[str, Option]:
    """Return the options of the class and its groups by name, in order; its own before one of a group's."""
    own = {one.name: one for field in fields(kind) if (one := _option(field)) is not None}
    found: dict[str, Option] = {}
    for field in fields(kind):
        option = _option(field)
        if option is not None:
            found[option.name] = option
        elif is_dataclass(field.type):
            found |= options_of(_group(field))
    return {**found, **own}


def values_of(options: object) -> Iterator[tuple[Option, Any]]:
    """Return each option of the object and its groups with its value."""
    for field in fields(cast("Any", options)):
        option, value = _option(field), getattr(options, field.name)
        if option is not None:
            yield option, value
        elif _is_group(field):
            yield from values_of(value)


def build(kind: type[T], values: Mapping[str, Any]) -> T:
    """Return the object with the values of these options; raises TypeError for an unknown name.

    A field without help is set by its own name.
    """
    left = dict(values)
    made = _build(kind, left)
    if left:
        raise TypeError(f"{kind.__name__} has no {', '.join(left)}")
    return cast("T", made)


def _build(kind: type, left: dict[str, Any]) -> object:
    given: dict[str, Any] = {}
    # before those of groups, which may have one of the same name
    for field in fields(kind):
        option = _option(field)
        name = field.name if option is None else option.name
        if name in left:
            given[field.name] = left.pop(name)
    for field in fields(kind):
        if _is_group(field) and field.name not in given:
            given[field.name] = _build(_group(field), left)
    return kind(**given)


def _option(field: "Field[Any]") -> Option | None:
    """Return what the field describes; None if it has no help: then it is not an option."""
    wanted, *marks = get_args(field.type) if hasattr(field.type, "__metadata__") else (field.type,)
    if not any(isinstance(one, Help) for one in marks):
        return None
    if isinstance(wanted, UnionType) or type(None) in get_args(wanted):
        (wanted,) = (one for one in get_args(wanted) if one is not NoneType)
    name = next((one.name for one in marks if isinstance(one, Name)), field.name)
    return Option(name, wanted, field.default, tuple(marks))


def _is_group(field: "Field[Any]") -> bool:
    return is_dataclass(field.type) and _option(field) is None


def _group(field: "Field[Any]") -> type:
    return cast("type", field.type)
