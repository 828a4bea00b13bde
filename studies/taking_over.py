"""What is taken over from another study: its trials as ones of this space, and the most telling of them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from engines.values import Candidate
from studies.observations import Observation
from studies.records import Direction
from studies.space import Space, candidate_at, contains

MOST_OBSERVATIONS = 60
# of them, those that did best; the others are spread over all else
BEST_OBSERVATIONS = 20
# a baseline alone says nothing of what differs from it
FEWEST_OBSERVATIONS = 3


def taken_over(
    observations: Sequence[Observation],
    space: Space,
    baseline: Candidate,
    directions: Sequence[Direction],
    comparable: Sequence[bool],
) -> tuple[Observation, ...]:
    """The other study's observations in this space, the baseline first as there; none where they say nothing.

    `baseline` is this study's own; `comparable` says of each constraint whether the other's margins mean
    anything here.
    """
    if not observations or observations[0].values is None:
        return ()
    usual = observations[0].candidate
    if mapped(usual, space, baseline, usual) is None:
        return ()
    told: dict[Candidate, Observation] = {}
    for one in observations:
        candidate = mapped(one.candidate, space, baseline, usual)
        if candidate is not None and (one.values or one.failed):
            margins = tuple(
                margin if counts else None for margin, counts in zip(one.margins, comparable, strict=False)
            )
            told.setdefault(candidate, replace(one, candidate=candidate, margins=margins))
    return chosen(tuple(told.values()), directions) if len(told) >= FEWEST_OBSERVATIONS else ()


def chosen(observations: Sequence[Observation], directions: Sequence[Direction]) -> tuple[Observation, ...]:
    """The first, the best that are feasible, and some of all others, evenly spread from good to failed."""
    rest = observations[1:]
    feasible = _best_first([one for one in rest if one.values and _most_missed(one) <= 0], directions)
    missing = sorted((one for one in rest if one.values and _most_missed(one) > 0), key=_most_missed)
    failed = [one for one in rest if one.values is None]
    best, others = feasible[:BEST_OBSERVATIONS], [*feasible[BEST_OBSERVATIONS:], *missing, *failed]
    room = min(len(others), MOST_OBSERVATIONS - 1 - len(best))
    spread = [round(place) for place in np.linspace(0, len(others) - 1, room)]
    return (observations[0], *best, *(others[place] for place in spread))


def mapped(
    candidate: Candidate, space: Space, baseline: Candidate, its_baseline: Candidate
) -> Candidate | None:
    """Another study's candidate as one of this space, by names and values; None where there is none like it.

    What is at its default there and cannot be had here is at its default here, as is what only this space
    has; away from the default of what only the other space has, there is nothing like it here.
    """
    settings, own, usual = candidate.settings, baseline.settings, its_baseline.settings
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


def _best_first(observations: Sequence[Observation], directions: Sequence[Direction]) -> list[Observation]:
    """Those first to which the fewest others are as good in every objective, and better in one."""
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
