from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from engines.core.results import Failure
from engines.statistics.estimates import Estimate
from studies.analysis.comparison import best, comparison, recommended
from studies.core.records import Constraint, RepeatRecord
from studies.finals.select import finalists
from studies.finals.verdict import disproved, finals, sessions_of, verdict_of
from tests.studies.repeated import (
    CANDIDATES,
    evaluation,
    repeat,
    study_at,
    with_anchors,
    with_finals,
    with_self_test,
)

DRIFTING = [1.0, 1.3, 0.9, 1.6, 1.1]


def test_without_finals_there_are_none() -> None:
    assert finals(study_at(2.0, 1.0)) is None


def test_drift_between_sessions_does_not_hide_the_faster_trial() -> None:
    study = with_finals(
        study_at(1.0, 0.99, 0.995),
        {
            0: [1.0 * level for level in DRIFTING],
            1: [0.98 * level for level in DRIFTING],
            2: [0.9801 * level for level in DRIFTING],
        },
    )
    found = finals(study)
    assert found is not None
    assert found.winner.trial == 1
    assert found.winner.verdict == "faster"
    assert found.winner.against_baseline is not None
    assert found.winner.against_baseline.value == pytest.approx(1 / 0.98, rel=1e-3)
    assert found.sessions == 5
    assert [row.trial for row in found.finalists] == [1, 2, 0]


def test_the_lucky_trial_loses_the_finals_to_the_one_that_is_faster() -> None:
    study = with_finals(study_at(1.0, 0.8, 0.9), {0: [1.0] * 5, 1: [0.95] * 5, 2: [0.9] * 5})
    assert best(study) is study.trials[2]
    assert comparison(study).verdict == "faster"
    assert comparison(study).finals is not None
    assert recommended(study) is study.trials[2]


def test_a_winner_that_is_no_faster_than_the_baseline_is_not_recommended() -> None:
    noisy = np.random.default_rng(0).normal(1.0, 0.02, (2, 5))
    study = with_finals(study_at(1.0, 0.9), {0: list(noisy[0]), 1: list(noisy[1] - 0.001)})
    assert comparison(study).verdict == "same"
    assert recommended(study) is study.trials[0]


def test_finals_of_fewer_trials_than_the_study_has_are_stale() -> None:
    study = with_finals(study_at(1.0, 0.9), {0: [1.0] * 5, 1: [0.9] * 5})
    grown = replace(study, trials=(*study.trials, study_at(1.0, 0.9, 0.7).trials[2]))
    assert finals(study) is not None
    assert finals(grown) is None
    assert best(grown) is grown.trials[2]


def test_two_sessions_are_not_enough() -> None:
    assert finals(with_finals(study_at(1.0, 0.9), {0: [1.0] * 2, 1: [0.9] * 2})) is None


def test_an_engine_that_is_wrong_in_a_session_is_out_of_the_race() -> None:
    study = with_finals(study_at(1.0, 0.5, 0.9), {0: [1.0] * 4, 1: [0.5] * 4, 2: [0.9] * 4})
    wrong = repeat("final", evaluation(CANDIDATES[1], 0.5, error=0.5), 1, after=3, session=4)
    found = finals(replace(study, repeats=(*study.repeats, wrong)))
    assert found is not None
    assert found.winner.trial == 2
    out = next(row for row in found.finalists if row.trial == 1)
    assert out.wrong == "misses error<=0.01 in session 5"


def test_an_engine_that_misses_a_limit_of_the_users_own_in_a_session_is_out_too() -> None:
    study = with_finals(study_at(1.0, 0.5, 0.9), {0: [1.0] * 4, 1: [0.5] * 4, 2: [0.9] * 4})
    limited = replace(study.spec, constraints=(Constraint("f1", ">=", 0.9),))

    def scored(one: RepeatRecord) -> RepeatRecord:
        accuracy = one.evaluation.accuracy
        assert accuracy is not None
        f1 = 0.5 if (one.trial, one.session) == (1, 2) else 0.95
        return replace(one, evaluation=replace(one.evaluation, accuracy=replace(accuracy, scores={"f1": f1})))

    found = finals(replace(study, spec=limited, repeats=tuple(map(scored, study.repeats))))
    assert found is not None
    assert found.winner.trial == 2
    assert [row.wrong for row in found.finalists if row.trial == 1] == ["misses f1>=0.9 in session 3"]


def test_an_engine_that_was_wrong_in_finals_is_never_the_best_again() -> None:
    study = with_finals(study_at(1.0, 0.5, 0.9), {0: [1.0] * 4, 1: [0.5] * 4, 2: [0.9] * 4})
    wrong = repeat("final", evaluation(CANDIDATES[1], 0.5, error=0.5), 1, after=3, session=4)
    later = study_at(1.0, 0.5, 0.9, 0.95)
    grown = replace(later, repeats=(*study.repeats, wrong))
    assert disproved(grown) == {1}
    assert finals(grown) is None
    assert best(grown) is grown.trials[2]
    assert 1 not in [trial.number for trial in finalists(grown, 4)]
    twin = replace(grown.trials[3], same_as=1)
    assert disproved(replace(grown, trials=(*grown.trials[:3], twin))) == {1, 3}


def test_an_engine_that_had_no_room_in_one_session_stays_in_the_race() -> None:
    study = with_finals(study_at(1.0, 0.9), {0: [1.0] * 5, 1: [0.9] * 4})
    failed = replace(
        evaluation(CANDIDATES[1], 0.9),
        measurement=None,
        failure=Failure("load", "out_of_memory", "no room"),
    )
    found = finals(replace(study, repeats=(*study.repeats, repeat("final", failed, 1, after=2, session=4))))
    assert found is not None
    assert found.winner.trial == 1


def test_more_is_better_where_throughput_is_the_objective() -> None:
    study = with_finals(
        study_at(1.0, 0.5, objectives=["throughput"]), {0: [1.0] * 5, 1: [0.5, 0.51, 0.49, 0.5, 0.5]}
    )
    found = finals(study)
    assert found is not None
    assert found.winner.trial == 1
    assert found.winner.against_baseline is not None
    assert found.winner.against_baseline.value == pytest.approx(2.0, rel=0.02)


def test_rebuilds_take_part_but_do_not_win() -> None:
    runs: dict[int | tuple[int, int], list[float]] = {
        0: [1.0, 1.01, 0.99, 1.0],
        1: [0.9] * 4,
        (1, 1): [0.8] * 4,
        (1, 2): [0.95, 0.96, 0.95, 0.95],
    }
    found = finals(with_finals(study_at(1.0, 0.9), runs))
    assert found is not None
    assert (found.winner.trial, found.winner.build) == (1, 0)
    assert {(row.trial, row.build) for row in found.finalists} == {(0, 0), (1, 0), (1, 1), (1, 2)}


def test_equal_engines_are_called_different_in_at_most_one_of_twenty_finals() -> None:
    random, different, times = np.random.default_rng(3), 0, 400
    study = study_at(1.0, 1.0, 1.0, 1.0)
    for _ in range(times):
        runs = {trial: list(np.exp(random.normal(0, 0.02, 5))) for trial in range(4)}
        found = finals(with_finals(study, runs))
        assert found is not None
        different += found.winner.verdict != "same"
    assert different / times <= 0.05


def test_a_verdict_needs_an_interval_on_one_side_of_one() -> None:
    assert verdict_of(Estimate(1.1, 1.01, 1.2)) == "faster"
    assert verdict_of(Estimate(0.9, 0.8, 0.99)) == "slower"
    assert verdict_of(Estimate(1.1, 0.9, 1.3)) == "same"
    assert verdict_of(Estimate(1.1)) == verdict_of(None) == "same"


def test_without_finals_trials_are_compared_free_of_drift() -> None:
    # the machine becomes 20 % slower, and the trial measured at the end would have been faster before
    study = with_self_test(study_at(1.0, 1.1), [1.0002, 0.9998, 1.0001, 0.9999])
    late = replace(study.trials[1], started_at=study.trials[0].started_at + timedelta(seconds=600))
    study = replace(study, trials=(study.trials[0], late))
    assert comparison(study).best is study.trials[0]
    drifting = with_anchors(study, {100.0 * step: 1.0 + 0.2 * step / 6 for step in range(1, 7)})
    found = comparison(drifting)
    assert found.verdict == "faster"
    assert found.speedup is not None
    assert found.speedup.value == pytest.approx(1.2 / 1.1, rel=0.02)


def test_without_finals_an_undetectable_difference_counts_as_none() -> None:
    study = study_at(1.0, 0.97)
    assert comparison(study).verdict == "faster"
    noisy = with_self_test(study, [1.02, 0.98, 1.01, 0.99, 1.0])
    assert comparison(noisy).verdict == "same"
    assert recommended(noisy) is noisy.trials[0]
    quiet = with_self_test(study, [1.0002, 0.9998, 1.0001, 0.9999, 1.0])
    assert comparison(quiet).verdict == "faster"


def test_missing_a_slow_session_is_not_an_advantage() -> None:
    levels = [1.0, 1.0, 1.0, 2.0, 2.0]
    runs = {0: levels, 1: [0.8 * level for level in levels], 2: [0.85, 0.85, 0.85]}
    found = finals(with_finals(study_at(1.0, 0.8, 0.8), runs))
    assert found is not None
    assert found.winner.trial == 1
    assert [row.trial for row in found.finalists] == [1, 2, 0]


def test_proven_faster_finalist_wins_over_a_better_mean_without_proof() -> None:
    runs = {0: [1.0, 1.001, 0.999, 1.0, 1.0], 1: [0.5, 1.3, 0.6, 1.2, 0.7], 2: [0.9] * 5}
    study = with_finals(study_at(1.0, 0.8, 0.8), runs)
    found = finals(study)
    assert found is not None
    assert found.winner.trial == 2
    assert found.finalists[0].trial == 1
    assert recommended(study) is study.trials[2]


def test_best_mean_wins_when_the_baseline_is_out() -> None:
    runs = {0: [1.0, 1.001, 0.999, 1.0, 1.0], 1: [0.5, 1.3, 0.6, 1.2, 0.7], 2: [0.9] * 5}
    study = with_finals(study_at(1.0, 0.8, 0.8), runs)
    out = replace(study.trials[0], state="infeasible", violations={"error<=0.01": 1.0})
    found = finals(replace(study, trials=(out, *study.trials[1:])))
    assert found is not None
    assert found.winner.trial == 1


def test_finals_that_began_anew_count_from_their_beginning() -> None:
    old: dict[int | tuple[int, int], list[float]] = {0: [1.0] * 4, 1: [0.9] * 4, (1, 1): [0.5] * 4}
    new: dict[int | tuple[int, int], list[float]] = {0: [1.0] * 3, 1: [0.9] * 3, (1, 1): [0.95] * 3}
    anew = with_finals(with_finals(study_at(1.0, 0.9), old), new)
    runs = sessions_of(anew, 2)
    assert {len(of) for of in runs.values()} == {3}
    assert max(runs[1, 1].values()) == pytest.approx(0.95, rel=0.01)
    assert min(runs[1, 1].values()) == pytest.approx(0.95, rel=0.01)
