from dataclasses import replace

import numpy as np
import pytest

from engines.core.results import Block, Evaluation
from engines.statistics.deadlines import certify, p99_bound
from studies.belief.certificates import certificate, deadline_of
from studies.core.records import StudyRecord
from tests.records import study_of
from tests.studies.repeated import CANDIDATES, evaluation, repeat


def with_latencies(*blocks: list[float], discarded: tuple[list[float], ...] = ()) -> Evaluation:
    made = evaluation(CANDIDATES[0], 1.0)
    assert made.measurement is not None

    def block(latencies: list[float]) -> Block:
        return Block(np.array(latencies), sum(latencies) / 1e3, 0.0)

    measurement = replace(
        made.measurement,
        blocks=tuple(map(block, blocks)),
        discarded=tuple(map(block, discarded)),
    )
    return replace(made, measurement=measurement)


def study(made: Evaluation, *repeats: Evaluation, limit: str = "p99_bound_ms<=33") -> StudyRecord:
    found = study_of(made, constraints=[limit])
    finals = tuple(repeat("final", one, session=number) for number, one in enumerate(repeats))
    return replace(found, repeats=finals)


def test_deadline_met_by_299_inferences_is_certified() -> None:
    found = study(with_latencies(*[[30.0] * 60] * 5))
    holds = certificate(found, found.trials[0])
    assert holds is not None
    assert (holds.holds, holds.samples, holds.misses) == (True, 300, 0)
    assert found.trials[0].state == "feasible"


def test_too_few_inferences_certify_nothing_and_the_trial_is_infeasible() -> None:
    found = study(with_latencies(*[[30.0] * 50] * 5))
    too_few = certificate(found, found.trials[0])
    assert too_few is not None
    assert not too_few.holds
    assert found.trials[0].state == "infeasible"


def test_misses_in_disturbed_blocks_and_in_the_finals_count() -> None:
    late = [40.0] * 10 + [30.0] * 50
    kept = with_latencies(*[[30.0] * 100] * 5)
    assert kept.measurement is not None
    assert p99_bound(kept.measurement) == 30.0
    disturbed = with_latencies(*[[30.0] * 100] * 5, discarded=(late,))
    assert disturbed.measurement is not None
    assert p99_bound(disturbed.measurement) == 40.0
    found = study(kept, with_latencies(late, [30.0] * 60))
    missed = certificate(found, found.trials[0])
    assert missed is not None
    assert (missed.holds, missed.misses, missed.samples) == (False, 10, 620)


def test_a_study_without_a_deadline_certifies_nothing() -> None:
    found = study(with_latencies(*[[30.0] * 60] * 5), limit="latency_ms<=33")
    assert deadline_of(found) is None
    assert certificate(found, found.trials[0]) is None


def test_of_two_deadlines_the_tighter_one_counts() -> None:
    found = study_of(evaluation(CANDIDATES[0], 1.0), constraints=["p99_bound_ms<=33", "p99_bound_ms<=20"])
    assert deadline_of(found) == pytest.approx(20.0)


def test_differences_between_measurements_weaken_the_certificate() -> None:
    calm, bad = [[30.0] * 120] * 5, [[40.0] * 3 + [30.0] * 117] * 5
    alike = study(with_latencies(*calm), *[with_latencies(*calm)] * 4)
    differ = study(with_latencies(*calm), *[with_latencies(*calm)] * 3, with_latencies(*bad))
    found = certificate(differ, differ.trials[0])
    assert found is not None
    assert found.misses / found.samples == 0.005
    # independent inferences would show it: 15 misses of 3000 where 20 are allowed
    assert certify(np.repeat([40.0, 30.0], [15, 2985]), 33.0).holds
    assert found.design_effect > 5
    assert not found.holds
    same = certificate(alike, alike.trials[0])
    assert same is not None
    assert same.holds
    assert same.design_effect == 1.0
