"""Convert trials of an earlier study to this search space, and keep the most informative."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from engines.core.values import Candidate, Value
from studies.core.records import Direction
from studies.core.space import Space, candidate_at, contains
from studies.search.observations import Observation

_T = TypeVar("_T")

MOST_OBSERVATIONS = 60
# how many of them are the best; the others are spread over the rest
BEST_SHARE = 1 / 3
# a baseline alone shows no differences
FEWEST_OBSERVATIONS = 3


def taken_over(
    observations: Sequence[Observation],
    space: Space,
    baseline: Candidate,
    directions: Sequence[Direction],
    comparable: Sequence[bool],
    most: int = MOST_OBSERVATIONS,
) -> tuple[Observation, ...]:
    """Return the other study's observations in this space, this study's baseline first; none if they are not
    informative.

    The first of the observations is the other's own baseline, `baseline` this study's; `comparable` says of
    each constraint whether the other's margins mean anything here.
    """
    usual = _usual([one.candidate for one in observations], baseline)
    converted: dict[Candidate, Observation] = {}
    for one in observations:
        candidate = mapped(one.candidate, space, baseline, usual)
        if candidate is not None and (one.values or one.failed):
            margins = tuple(
                margin if counts else None for margin, counts in zip(one.margins, comparable, strict=False)
            )
            converted.setdefault(candidate, replace(one, candidate=candidate, margins=margins))
    # all others are relative to it
    first = converted.pop(baseline, None)
    if first is None or first.values is None or len(converted) + 1 < FEWEST_OBSERVATIONS:
        return ()
    return chosen((first, *converted.values()), directions, most)


def worth_reading(
    candidates: Sequence[Candidate], space: Space, baseline: Candidate, most: int
) -> tuple[int, ...]:
    """Return the places of about so many of the other study's candidates that this space has, evenly spread.

    Its baseline, which is the first, and this study's baseline are always among them; none if it has not
    tried the latter.
    """
    usual = _usual(candidates, baseline)
    here = [mapped(one, space, baseline, usual) for one in candidates]
    if baseline not in here:
        return ()
    others = [place for place, one in enumerate(here) if one is not None]
    return tuple(sorted({0, here.index(baseline), *_spread(others, most)}))


def chosen(
    observations: Sequence[Observation], directions: Sequence[Direction], most: int = MOST_OBSERVATIONS
) -> tuple[Observation, ...]:
    """Return the first, the best feasible ones, and some of the others, evenly spread from good to failed."""
    rest = observations[1:]
    feasible = _best_first([one for one in rest if one.values and _most_missed(one) <= 0], directions)
    missing = sorted((one for one in rest if one.values and _most_missed(one) > 0), key=_most_missed)
    failed = [one for one in rest if one.values is None]
    count = round(BEST_SHARE * most)
    best, others = feasible[:count], [*feasible[count:], *missing, *failed]
    return (observations[0], *best, *_spread(others, most - 1 - len(best)))


def mapped(
    candidate: Candidate, space: Space, baseline: Candidate, usual: Mapping[str, Value]
) -> Candidate | None:
    """Convert another study's candidate to this space, by names and values; None if it has no equivalent.

    `usual` are the other's defaults. What is at its default there and cannot be had here is at its default
    here, as is what only this space has; away from the default of what only the other space has, there is
    nothing like it here.
    """
    settings, own = candidate.settings, baseline.settings
    names = {one.name for one in space}
    if any(value != usual.get(name) for name, value in settings.items() if name not in names):
        return None
    point = {}
    for one in space:
        value = settings.get(one.name, own[one.name])
        is_lost = value == usual.get(one.name) and value not in one.choices
        point[one.name] = own[one.name] if is_lost else value
    if point == own:
        return baseline
    return candidate_at(space, point) if contains(space, point) else None


def _usual(candidates: Sequence[Candidate], baseline: Candidate) -> dict[str, Value]:
    """Return the other study's defaults from its first candidate, or this study's defaults if it has tried
    those.

    Then the candidate itself tells what the default here gives, and the default there is just another choice.
    """
    own = baseline.settings
    tried = {setting for one in candidates for setting in one.settings.items()}
    usual = candidates[0].settings if candidates else {}
    return {
        name: own[name] if name in own and (name, own[name]) in tried else value
        for name, value in usual.items()
    }


def _spread(items: Sequence[_T], most: int) -> list[_T]:
    """Return so many of them, evenly spread."""
    count = max(0, min(len(items), most))
    return [items[round(place)] for place in np.linspace(0, len(items) - 1, count)]


def _best_first(observations: Sequence[Observation], directions: Sequence[Direction]) -> list[Observation]:
    """Sort by how many others are as good in every objective and better in one, the fewest first."""
    if not observations:
        return []
    signs = [1.0 if direction == "minimize" else -1.0 for direction in directions]
    values = np.array([one.values for one in observations]) * signs
    at_least = (values[:, None] <= values[None, :]).all(axis=2)
    better = (values[:, None] < values[None, :]).any(axis=2)
    dominated = (at_least & better).sum(axis=0)
    return [observations[index] for index in np.lexsort((values[:, 0], dominated))]


def _most_missed(observation: Observation) -> float:
    return max((one for one in observation.margins if one is not None), default=0.0)
