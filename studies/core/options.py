"""What a field that users may set says beside its type: `Annotated[int, Help("How many."), Metavar("N")]`.

The options of the command, what the Python API takes, and docs/commands.md are made from it. Nothing heavy is
imported here or where these are used, since `tuner search --help` reads them all.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal


@dataclass(frozen=True)
class Help:
    """What the option does, in a sentence; `default` says what happens where the field is None or empty."""

    text: str
    default: str = ""


@dataclass(frozen=True)
class Units:
    """What a number counts; people write 30m for seconds and 1% for a share of 0.01."""

    name: Literal["seconds", "share"]


@dataclass(frozen=True)
class Range:
    """The whole numbers that are taken, or that zero seconds are; `hint` says what to do for others."""

    least: int
    most: int | None = None
    hint: str = ""


@dataclass(frozen=True)
class Name:
    """The option's name where it is not the field's."""

    name: str


@dataclass(frozen=True)
class Metavar:
    """What stands for the value in --help."""

    text: str


@dataclass(frozen=True)
class Flags:
    """How the command spells the option, where that is not made from its name."""

    names: tuple[str, ...]


@dataclass(frozen=True)
class Switches:
    """Values with a flag for each and its help, in place of an option that takes them."""

    values: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Positional:
    """An argument of the command and no option."""

    metavar: str | None = None


@dataclass(frozen=True)
class Spelling:
    """How Python may write the value besides what its type says; `policy` has no option of the command."""

    name: Literal["shapes", "settings", "list", "npz", "functions", "database", "policy"]


ShapeTexts = Annotated[tuple[str, ...], Spelling("shapes"), Metavar("SHAPES")]
NpzFile = Annotated[Path | None, Spelling("npz"), Metavar("NPZ")]
Seconds = Annotated[float | None, Units("seconds")]
BackendName = Annotated[str, Metavar("NAME")]
Count = Annotated[int, Metavar("N")]
MaybeCount = Annotated[int | None, Metavar("N")]
