import logging
from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState, create_trial

from engines.values import Dimension, Value
from studies.sampler import DistinctSampler

SPACE = (
    Dimension("precision", "graph", ("fp32", "fp16", "int8", "int4"), "fp32", ""),
    Dimension("level", "build", (0, 1, 2, 3, 4, 5), 3, ""),
    Dimension("threads", "run", (1, 2, 4, 8), 1, ""),
    Dimension("spinning", "run", (True, False), True, ""),
    Dimension("mode", "run", ("sequential",), "sequential", ""),
)
SMALL = (SPACE[0], SPACE[3], SPACE[4])


def point(**settings: Value) -> dict[str, Value]:
    return {**{one.name: one.default for one in SPACE}, **settings}


def learn(
    sampler: DistinctSampler,
    trials: int,
    value: Callable[[dict[str, Any]], float],
    violation: Callable[[dict[str, Any]], float] = lambda _: 0.0,
) -> list[dict[str, Any]]:
    """Tries what the sampler suggests, tells it the value, and gives what it suggested."""
    suggested = []
    for _ in range(trials):
        settings = sampler.suggest()
        sampler.mark_seen({**settings, "mode": "sequential"})
        failed = violation(settings) >= 1e6
        sampler.add(
            create_trial(
                state=TrialState.PRUNED if failed else TrialState.COMPLETE,
                values=None if failed else [value(settings)],
                params=settings,
                distributions=sampler.distributions,
                constraints={"limit": violation(settings)},
            )
        )
        suggested.append(settings)
    return suggested


def share(suggested: list[dict[str, Any]], precision: str) -> float:
    return sum(str(one["precision"]) == precision for one in suggested) / len(suggested)


def test_every_candidate_is_suggested_once_until_none_is_left() -> None:
    sampler = DistinctSampler(SPACE, ["minimize"], seed=0)
    suggested = learn(sampler, 191, lambda settings: float(settings["level"]))
    before = sampler.is_exhausted
    suggested += learn(sampler, 1, lambda settings: 0.0)
    assert (before, sampler.is_exhausted) == (False, True)
    assert len({tuple(one.values()) for one in suggested}) == 4 * 6 * 4 * 2
    assert all(one.keys() == {"precision", "level", "threads", "spinning"} for one in suggested)


@pytest.mark.parametrize(("direction", "sign"), [("minimize", 1), ("maximize", -1)])
def test_it_learns_from_the_trials_that_it_is_told_of(direction: Any, sign: int) -> None:
    sampler = DistinctSampler(SPACE, [direction], seed=0)

    def value(settings: dict[str, Any]) -> float:
        level, threads = float(settings["level"]), float(settings["threads"])
        return sign * (10 * (str(settings["precision"]) != "fp16") + level + 1 / threads)

    at_random = learn(sampler, 10, value)
    learnt = learn(sampler, 30, value)
    # a quarter would be fp16 at random, and 48 of the 192 candidates are
    assert share(at_random, "fp16") < 0.6
    assert share(learnt, "fp16") >= 0.7


def test_it_keeps_away_from_what_misses_a_constraint_and_from_what_fails() -> None:
    sampler = DistinctSampler(SPACE, ["minimize"], seed=1)

    def violation(settings: dict[str, Any]) -> float:
        return {"fp32": -0.5, "fp16": -0.5, "int8": 1.5, "int4": 1e6}[str(settings["precision"])]

    def value(settings: dict[str, Any]) -> float:
        latency = {"int8": 1.0, "fp16": 2.0, "fp32": 4.0}[str(settings["precision"])]
        return latency + 0.01 * float(settings["level"])

    learn(sampler, 20, value, violation)
    learnt = learn(sampler, 30, value, violation)
    assert share(learnt, "fp16") >= 0.6
    assert share(learnt, "int8") <= 0.2
    assert share(learnt, "int4") <= 0.2


def test_it_learns_from_several_objectives() -> None:
    sampler = DistinctSampler(SPACE, ["minimize", "maximize"], seed=0)
    for _ in range(15):
        settings = sampler.suggest()
        values = [float(settings["level"]), float(settings["threads"])]
        trial = create_trial(values=values, params=settings, distributions=sampler.distributions)
        sampler.mark_seen({**settings, "mode": "sequential"})
        sampler.add(trial)
    assert sampler.suggest().keys() == sampler.distributions.keys()


def test_the_same_seed_and_trials_give_the_same_suggestions() -> None:
    def suggested(seed: int) -> list[dict[str, Any]]:
        sampler = DistinctSampler(SPACE, ["minimize"], seed)
        return learn(sampler, 25, lambda settings: float(settings["level"]))

    assert suggested(3) == suggested(3)
    assert suggested(3) != suggested(4)


def test_any_seed_will_do() -> None:
    assert DistinctSampler(SPACE, ["minimize"], 2**32 + 7).suggest()


def test_what_is_marked_as_seen_is_never_suggested() -> None:
    sampler = DistinctSampler(SMALL, ["minimize"], seed=0)
    for precision in ("fp32", "fp16", "int8", "int4"):
        sampler.mark_seen(point(precision=precision))
    suggested = learn(sampler, 4, lambda settings: 0.0)
    assert sampler.is_exhausted
    assert [one["spinning"] for one in suggested] == [False] * 4


@pytest.mark.parametrize(
    "outside", [point(mode="parallel"), point(precision="bf16"), {"precision": "fp32", "spinning": True}]
)
def test_a_point_outside_the_space_takes_no_candidate_away(outside: dict[str, Value]) -> None:
    sampler = DistinctSampler(SMALL, ["minimize"], seed=0)
    assert not sampler.contains(outside)
    sampler.mark_seen(outside)
    suggested = learn(sampler, 8, lambda settings: 0.0)
    assert sampler.is_exhausted
    assert {"precision": "fp32", "spinning": True} in suggested


def test_a_space_without_a_choice_has_one_candidate() -> None:
    sampler = DistinctSampler(SPACE[-1:], ["minimize"], seed=0)
    before = sampler.is_exhausted
    assert sampler.suggest() == {}
    sampler.mark_seen({"mode": "sequential"})
    assert (before, sampler.is_exhausted) == (False, True)


def test_a_trial_outside_the_space_is_not_in_the_way() -> None:
    sampler = DistinctSampler(SPACE, ["minimize"], seed=0)
    sampler.add(create_trial(values=[-1e9]))
    learnt = learn(sampler, 40, lambda settings: float(settings["precision"] != "fp16"))
    assert share(learnt[10:], "fp16") >= 0.7


def test_optuna_keeps_silent_and_its_own_verbosity(caplog: pytest.LogCaptureFixture) -> None:
    optuna.logging.enable_propagation()
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(logging.INFO)
    try:
        learn(DistinctSampler(SPACE, ["minimize"], seed=0), 15, lambda settings: 0.0)
        assert optuna.logging.get_verbosity() == logging.INFO
    finally:
        optuna.logging.set_verbosity(before)
        optuna.logging.disable_propagation()
    assert caplog.records == []


def test_points_that_differ_only_where_a_dimension_means_nothing_are_one() -> None:
    space = (
        Dimension("precision", "graph", ("fp32", "int8"), "fp32", ""),
        Dimension("kept", "graph", (0, 1, 2, 4), 0, "", applies_to={"precision": ("int8",)}),
    )
    sampler = DistinctSampler(space, ["minimize"], seed=0)
    suggested = []
    while not sampler.is_exhausted:
        suggested.append(sampler.suggest())
        sampler.mark_seen(suggested[-1])
    assert sorted(map(str, suggested)) == sorted(
        str({"precision": precision, "kept": kept})
        for precision, kept in [("fp32", 0), ("int8", 0), ("int8", 1), ("int8", 2), ("int8", 4)]
    )
