"""What values of options may be, whatever class describes them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest

from engines.core.errors import UserError
from studies.core.options import Count, Help, MaybeCount, Range, Seconds, Units
from tuner.options.checks import check_options


@dataclass(frozen=True)
class Some:
    runs: Annotated[Count, Range(0, hint="0 turns it off."), Help("Runs.")] = 5
    trials: Annotated[MaybeCount, Range(1, hint="Leave it out."), Help("Trials.")] = None
    seed: Annotated[Count, Range(0, 9, "Choose another."), Help("Seed.")] = 0
    warm_up: Annotated[Seconds, Range(0), Help("Warm-up.")] = None
    timeout: Annotated[Seconds, Help("Time.")] = None
    gain: Annotated[float | None, Units("share"), Help("Gain.")] = None
    path: Annotated[Path | None, Help("Path.")] = None
    free: int = -1


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"runs": 0},
        {"trials": 1},
        {"seed": 9},
        {"warm_up": 0.0},
        {"timeout": 1},
        {"gain": 0},
        {"free": -2},
    ],
)
def test_what_is_in_range_passes(given: dict[str, Any]) -> None:
    check_options(Some(**given))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"runs": -1}, "--runs must be 0 or more, not -1. 0 turns it off."),
        ({"trials": 0}, "--trials must be at least 1, not 0. Leave it out."),
        ({"trials": 1.5}, "--trials must be a whole number, not 1.5. Round it."),
        ({"seed": 10}, "--seed must be from 0 to 9, not 10. Choose another."),
        ({"warm_up": -1}, "--warm-up must be zero or more, not -1."),
        ({"timeout": 0}, "--timeout must be more than zero, not 0."),
        ({"timeout": float("inf")}, "--timeout must be more than zero and finite, not inf."),
        ({"gain": 1}, "--gain must be from 0 to less than 100 %, not 100 %."),
        ({"gain": "much"}, "'much' is not a percentage. Write 1%, 0.5% or 0.01; 0 turns it off."),
        ({"path": Path("a\0b")}, "the path 'a\\x00b' has a zero byte in it."),
        ({"path": Path("a\udcff")}, "the path 'a\\udcff' is not text in UTF-8."),
    ],
)
def test_value_out_of_range_is_refused_in_one_line(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as mistake:
        check_options(Some(**given))
    assert str(mistake.value).startswith(said)
