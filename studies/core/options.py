"""What a field that users may set says beside its type: `Annotated[int, Help("How many."), Metavar("N")]`.

The options of the command, what the Python API takes, and docs/commands.md are made from it. Nothing heavy is
imported here or where these are used, since `tuner search --help` reads them all; these are named tuples, of
which a class is made in a twentieth of the time.
"""

from pathlib import Path
from typing import Annotated, Literal, NamedTuple


class Help(NamedTuple):
    """What the option does, in a sentence; `default` says what happens where the field is None or empty."""

    text: str
    default: str = ""


class Units(NamedTuple):
    """What a number counts; people write 30m for seconds and 1% for a share of 0.01."""

    name: Literal["seconds", "share"]


class Range(NamedTuple):
    """The whole numbers that are taken, or that zero seconds are; `hint` says what to do for others."""

    least: int
    most: int | None = None
    hint: str = ""


class Name(NamedTuple):
    """The option's name where it is not the field's."""

    name: str


class Metavar(NamedTuple):
    """What stands for the value in --help."""

    text: str


class Flags(NamedTuple):
    """How the command spells the option, where that is not made from its name."""

    names: tuple[str, ...]


class Switches(NamedTuple):
    """Values with a flag for each and its help, in place of an option that takes them."""

    values: tuple[tuple[str, str], ...]


class Positional(NamedTuple):
    """An argument of the command and no option."""

    metavar: str | None = None


class Spelling(NamedTuple):
    """How Python may write the value besides what its type says; `policy` has no option of the command."""

    name: Literal["shapes", "settings", "list", "npz", "functions", "database", "policy"]


ShapeTexts = Annotated[tuple[str, ...], Spelling("shapes"), Metavar("SHAPES")]
NpzFile = Annotated[Path | None, Spelling("npz"), Metavar("NPZ")]
Seconds = Annotated[float | None, Units("seconds")]
BackendName = Annotated[str, Metavar("NAME")]
Count = Annotated[int, Metavar("N")]
MaybeCount = Annotated[int | None, Metavar("N")]
