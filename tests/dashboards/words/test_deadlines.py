from dataclasses import replace

import numpy as np

from dashboards.words import deadlines
from engines.statistics.deadlines import certify
from studies.core.records import StudyRecord
from tests.records import study_record
from tests.repeats import close_study, with_telemetry


def judged(misses: int, samples: int, design_effect: float = 1.0) -> str:
    latencies = np.where(np.arange(samples) < misses, 40.0, 10.0)
    return deadlines.sentence(certify(latencies, 33.0, design_effect=design_effect))


def test_a_deadline_that_is_kept_is_certified_with_its_numbers() -> None:
    assert judged(0, 2310) == (
        "99 % of inferences meet 33 ms with 95 % confidence: 0 misses in 2,310 (at most 0.13 % miss)."
    )


def test_too_few_samples_show_nothing() -> None:
    assert judged(0, 298) == (
        "That 99 % of inferences meet 33 ms is not shown: 0 misses in 298, too few samples to tell with 95 % "
        "confidence (at most 1.0 % miss)."
    )
    assert judged(0, 299).startswith("99 % of inferences meet")


def test_a_few_misses_may_be_too_many_for_so_few_samples() -> None:
    assert judged(1, 400) == (
        "That 99 % of inferences meet 33 ms is not shown: 1 miss in 400, too many for so few samples with "
        "95 % confidence (at most 1.2 % miss)."
    )


def test_a_deadline_that_is_missed_is_said_to_be_missed() -> None:
    assert judged(120, 2310) == "99 % of inferences do not meet 33 ms: 120 misses in 2,310 (5.2 %)."


def test_samples_that_are_alike_count_as_fewer() -> None:
    assert judged(0, 2310, design_effect=10).endswith(
        "(at most 1.3 % miss); neighbouring ones are alike, so they count as 231."
    )


def test_the_conditions_are_named_and_every_measurement_of_the_engine_counts() -> None:
    study = with_telemetry(close_study(constraints=["p99_bound_ms<=33"]))
    machine = replace(study.spec.machine, driver="580.1")
    study = replace(study, spec=replace(study.spec, machine=machine))
    found = deadlines.deadline(study, study.trials[2])
    assert found.startswith("99 % of inferences meet 33 ms with 95 % confidence: 0 misses in 14,400 ")
    assert found.endswith(
        "Under these conditions: AMD EPYC 7B13, driver 580.1, 1,498 MHz (1,495 to 1,500), 60 °C, 1 stream, "
        "batch 8; 6 measurements."
    )


def test_without_a_deadline_or_a_measurement_nothing_is_said() -> None:
    study = study_record(3, failing=0)
    assert deadlines.deadline(study, study.trials[0]) == ""
    failed: StudyRecord = study_record(3, failing=1.0, constraints=["p99_bound_ms<=33"])
    assert deadlines.deadline(failed, failed.trials[1]) == ""
    assert deadlines.conditions(failed, failed.trials[1]) == ""
