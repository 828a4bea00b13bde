import math
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import replays
from benchmarks.replays import Rounds, costs, dropped_at, race, ratio_coverage, replay, rounds_of
from benchmarks.subjects import trial
from engines.core.values import Bar
from studies.analysis.comparison import best, recommended
from studies.core.metrics import METRICS
from studies.finals.verdict import finals
from tests.benchmarks.recordings import ROUNDS, recording, row

LUCKY = {0: 0.97}


def seen(rounds: Rounds, candidate: int) -> list[float]:
    """The candidate's latency in each round."""
    found = [METRICS["latency_ms"].of(rounds.evaluation(candidate, number)) for number in range(ROUNDS)]
    return [one.value for one in found if one is not None]


def test_the_truth_is_the_mean_logarithm_over_all_rounds() -> None:
    rounds = rounds_of(recording(row(0, 2.0), row(1, 1.0, level={0: 4.0}, noise=0.0)))
    assert costs(rounds)[1] == pytest.approx(math.log(4.0) / ROUNDS)


def test_candidates_that_are_not_feasible_in_every_round_take_no_part() -> None:
    wrong = [*row(1, 0.5)[:-1], *row(1, 0.5, error=0.5)[-1:]]
    failed = [replace(run, values=(), spans=(), failure="crashed") for run in row(2, 0.5)]
    rounds = rounds_of(recording(row(0, 2.0), wrong, failed, row(3, 1.0)))
    assert [runs[0].candidate for runs in rounds.runs] == [0, 3]


def test_a_recording_whose_baseline_failed_cannot_be_replayed() -> None:
    with pytest.raises(SystemExit, match="baseline"):
        rounds_of(recording(row(0, 2.0, error=0.5), row(1, 1.0)))


@pytest.mark.parametrize("seed", range(5))
def test_sessions_are_rounds_that_no_trial_comes_from(seed: int) -> None:
    levels = {number: 1 + 0.001 * number for number in range(ROUNDS)}
    rounds = rounds_of(recording(*(row(one, 1.0, level=levels, noise=0.0) for one in range(4))))
    searched, held = replay(rounds, np.random.default_rng(seed))
    trials = {one.metrics["latency_ms"].value for one in searched.trials}
    sessions: dict[int, set[float]] = {}
    for one in held.repeats:
        value = METRICS["latency_ms"].of(one.evaluation)
        assert value is not None
        if one.role == "final":
            sessions.setdefault(one.session, set()).add(value.value)
    assert len(sessions) == 5
    assert all(len(values) == 1 for values in sessions.values()), "a session is one round"
    assert not trials & set().union(*sessions.values())
    assert finals(held) is not None


@pytest.mark.parametrize("seed", range(5))
def test_the_self_test_is_the_baseline_in_other_rounds_than_its_trial(seed: int) -> None:
    levels = {number: 1 + 0.001 * number for number in range(ROUNDS)}
    rounds = rounds_of(recording(row(0, 1.0, level=levels, noise=0.0), row(1, 1.0)))
    searched, _ = replay(rounds, np.random.default_rng(seed))
    values = [METRICS["latency_ms"].of(one.evaluation) for one in searched.repeats]
    runs = {one.value for one in values if one is not None}
    assert len(runs) == 5
    assert searched.trials[0].metrics["latency_ms"].value not in runs


def test_finals_choose_the_best_where_a_lucky_round_misleads_the_search() -> None:
    """Every candidate but the best has rounds that look better than its own."""
    shaky = {number: 0.97 if number % 2 else 1.03 for number in range(ROUNDS)}
    rounds = rounds_of(
        recording(
            row(0, 1.2, level=shaky), row(1, 1.0), row(2, 1.02, level=LUCKY), row(3, 1.015, level=LUCKY)
        )
    )
    random = np.random.default_rng(0)
    studies = [replay(rounds, random) for _ in range(30)]
    with_finals = {found.number for _, held in studies if (found := recommended(held)) is not None}
    without = {found.number for searched, _ in studies if (found := best(searched)) is not None}
    assert with_finals == {1}
    assert without > {1}


def test_the_figures_name_how_often_the_choice_is_near_the_best(capsys: pytest.CaptureFixture[str]) -> None:
    rounds = rounds_of(recording(row(0, 2.0), row(1, 1.0), row(2, 1.5)))
    assert replays.print_finals(rounds, 10, np.random.default_rng(0))
    assert "10 of 10" in capsys.readouterr().out


def test_intervals_of_ratios_hold_where_rounds_are_independent_whatever_drifts_in_both() -> None:
    random, held = np.random.default_rng(5), []
    for _ in range(40):
        drift = np.exp(random.normal(0, 0.2, ROUNDS))
        rows = [
            row(one, 1.0, level=dict(enumerate(drift * np.exp(random.normal(0, 0.01, ROUNDS)))), noise=0.0)
            for one in range(2)
        ]
        held.append(ratio_coverage(rounds_of(recording(*rows)), 10, random))
    assert 0.9 <= float(np.mean(held)) <= 0.99


def test_nothing_is_dropped_without_a_bar() -> None:
    assert dropped_at([9.0] * 9, None) is None


def test_what_is_clearly_slower_is_dropped_at_the_first_look() -> None:
    assert dropped_at([2.0, 2.001, 2.002, 2.0], Bar(1.0, 0.001)) == 3
    assert dropped_at([1.0, 1.001, 1.002, 1.0], Bar(1.0, 0.001)) is None


def test_racing_saves_the_blocks_of_slow_candidates_and_keeps_the_best() -> None:
    rounds = rounds_of(recording(row(0, 1.0), row(1, 0.5), row(2, 2.0), row(3, 3.0)))
    found = race(rounds, 1, np.random.default_rng(0))
    assert found.whole == pytest.approx(3 * 0.6)
    assert found.taken == pytest.approx(0.6 + 2 * 0.3)
    assert not found.best_was_dropped


def test_a_best_that_was_measured_in_a_bad_moment_counts_as_dropped() -> None:
    bad = dict.fromkeys(range(ROUNDS), 10.0)
    rounds = rounds_of(recording(row(0, 1.0), row(1, 0.5, level=bad)))
    assert race(rounds, 1, np.random.default_rng(0)).best_was_dropped


def test_a_replayed_trial_is_judged_by_the_constraints_of_the_recording() -> None:
    made = recording(row(0, 1.0), row(1, 1.0))
    rounds = rounds_of(made)
    assert trial(made.spec, 1, rounds.evaluation(1, 0)).state == "feasible"
    assert rounds.trial(1, 1, 0).metrics["error"].value == 0.0
    assert seen(rounds, 0) == pytest.approx([1.0] * ROUNDS, rel=1e-3)
