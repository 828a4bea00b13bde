import math
from collections.abc import Callable, Iterator, Sequence

import optuna
import pytest
from optuna.trial import FrozenTrial, Trial, TrialState

from engines.core.values import Candidate, Dimension, Value
from studies.core import space as spaces
from studies.search.sampler import EngineSampler, observation
from studies.search.searcher import Searcher
from studies.storage.optuna_mirror import unlogged

SPACE = (
    Dimension("precision", "graph", ("fp32", "fp16", "int8"), "fp32", ""),
    Dimension("keep_fp32", "graph", (0, 1, 4), 0, "", applies_to={"precision": ("int8",)}),
    Dimension("level", "build", (0, 1, 2, 3, 4, 5), 3, ""),
    Dimension("threads", "run", (1, 2, 4, 8), 1, ""),
    Dimension("mode", "run", ("sequential",), "sequential", ""),
)
SIZE = (2 + 3) * 6 * 4


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    with unlogged():
        yield


def optimized(objective: Callable[[Trial], float], trials: int, constraints: int = 0) -> optuna.Study:
    study = optuna.create_study(sampler=EngineSampler(SPACE, constraints))
    study.optimize(objective, n_trials=trials, catch=(RuntimeError,))
    return study


def chosen(trial: Trial) -> dict[str, object]:
    searched = spaces.searched(SPACE)
    return {one.name: trial.suggest_categorical(one.name, one.choices) for one in searched}


def latency(trial: Trial) -> float:
    point = chosen(trial)
    factor = {"fp32": 1.0, "fp16": 0.6, "int8": 0.4}[str(point["precision"])]
    return 5 * factor * (1 + 0.1 * abs(int(str(point["level"])) - 4)) / math.sqrt(int(str(point["threads"])))


def key(trial: FrozenTrial) -> tuple[object, ...]:
    return tuple(spaces.settled(SPACE, trial.params).values())


def test_plain_optuna_study_finds_the_best_soon() -> None:
    best = optimized(latency, 20).best_trial
    assert best.params == {
        "precision": "int8",
        "level": 4,
        "threads": 8,
        "keep_fp32": best.params["keep_fp32"],
    }


def test_a_study_of_a_speed_begins_with_what_vendors_advise() -> None:
    for metrics, begins in ((["latency_ms"], True), ((), False)):
        study = optuna.create_study(sampler=EngineSampler(SPACE, metrics=metrics, seed=1))
        study.optimize(latency, n_trials=1)
        assert (study.best_trial.params["precision"] == "fp16") == begins


def test_no_candidate_is_asked_for_twice_as_long_as_there_are_others() -> None:
    study = optimized(lambda trial: float(chosen(trial)["level"] == 3), SIZE)
    assert len({key(trial) for trial in study.trials}) == SIZE


def test_sampler_suggests_again_when_everything_was_tried() -> None:
    study = optuna.create_study(sampler=EngineSampler(SPACE[:1]))
    study.optimize(lambda trial: float(len(str(trial.suggest_categorical("precision", SPACE[0].choices)))), 5)
    assert len(study.trials) == 5


def test_constraints_are_learnt() -> None:
    def limited(trial: Trial) -> float:
        value = latency(trial)
        trial.set_constraint("error<=0.01", 2.0 if trial.params["precision"] == "int8" else -1.0)
        return value

    study = optimized(limited, 15, constraints=1)
    assert study.best_trial.params["precision"] == "fp16"
    assert study.best_trial.params["threads"] == 8
    assert sum(trial.params["precision"] == "int8" for trial in study.trials) <= 6


def test_trials_that_fail_or_are_pruned_teach_what_to_avoid() -> None:
    def failing(trial: Trial) -> float:
        value = latency(trial)
        if trial.params["precision"] == "int8":
            raise RuntimeError("no kernel")
        if trial.params["threads"] == 8:
            raise optuna.TrialPruned
        return value

    study = optimized(failing, 16)
    assert study.best_trial.params["precision"] == "fp16"
    assert sum(trial.state == TrialState.COMPLETE for trial in study.trials) >= 8


def test_what_is_running_elsewhere_is_not_asked_for() -> None:
    study = optuna.create_study(sampler=EngineSampler(SPACE[2:3]))
    asked = [study.ask() for _ in range(6)]
    levels = {trial.suggest_categorical("level", SPACE[2].choices) for trial in asked}
    assert levels == set(SPACE[2].choices)


def test_parameter_that_is_not_a_dimension_is_sampled_at_random() -> None:
    study = optuna.create_study(sampler=EngineSampler(SPACE[2:3]))
    study.optimize(lambda trial: trial.suggest_float("other", 0.0, 1.0), 4)
    assert len({trial.params["other"] for trial in study.trials}) == 4


def test_seconds_by_stage_are_read_from_the_trials_user_attribute() -> None:
    study = optuna.create_study(sampler=EngineSampler(SPACE))

    def timed(trial: Trial) -> float:
        trial.set_user_attr("seconds", {"build": 12.0, "measure": 1.0})
        return latency(trial)

    study.optimize(timed, 1)
    assert observation(study.trials[0], SPACE).seconds == {"build": 12.0, "measure": 1.0}
    study.optimize(latency, 1)
    assert observation(study.trials[1], SPACE).seconds.keys() == {"measure"}


def test_trials_that_run_beside_each_other_are_different_and_know_of_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    study = optimized(latency, 10)
    pending: list[int] = []
    suggest = Searcher.suggest

    def spied(searcher: Searcher, running: Sequence[Candidate] = ()) -> dict[str, Value]:
        pending.append(len(running))
        return suggest(searcher, running)

    monkeypatch.setattr(Searcher, "suggest", spied)
    together = [
        study.ask(EngineSampler(SPACE).infer_relative_search_space(study, study.trials[0])) for _ in range(4)
    ]
    assert pending == [0, 1, 2, 3]
    points = {tuple(spaces.settled(SPACE, trial.params).values()) for trial in together}
    assert len(points) == 4
