import re
from dataclasses import replace

import numpy as np

from dashboards.pages.trials_table import columns, table
from studies.analysis.view import StudyView
from studies.core.records import StudyRecord
from tests.records import FAILURES, candidate, failed, measured, study_of, study_record
from tests.repeats import THROTTLED, thorough_study


def cells(study: StudyRecord, number: int) -> dict[str, tuple[str, str | None]]:
    """What the row shows in each column, and by what number it is sorted."""
    row = re.search(rf'<tr id="trial-{number}"[^>]*>(.*?)</tr>', table(StudyView(study)))
    assert row is not None
    found = re.findall(r"<td([^>]*)>(.*?)</td>", row[1])
    texts = [re.sub("<[^>]+>", "", text) for _, text in found]
    values = [re.search(r'data-v="([^"]+)"', attributes) for attributes, _ in found]
    titles = [column.title for column in columns(study)]
    return {
        title: (text, value[1] if value else None)
        for title, text, value in zip(titles, texts, values, strict=True)
    }


def small() -> StudyRecord:
    base, other = candidate("fp32", "all", 2, True), candidate("int8", "all", 8, False)
    random = np.random.default_rng(0)
    slow = measured(base, random, latency_ms=12.5, error=0.0, noise=0.0)
    wrong = measured(other, random, latency_ms=2.0, error=0.5, noise=0.0)
    return study_of(slow, wrong, failed(other, *FAILURES[0]))


def test_a_column_for_every_searched_dimension_objective_and_constraint() -> None:
    study = study_record(3, objectives=["throughput", "p99_ms"], constraints=["memory_bytes<=1e9"])
    assert [column.title for column in columns(study)] == [
        "trial",
        "state",
        "throughput",
        "p99_ms",
        "memory_bytes",
        "error",
        "precision",
        "optimization",
        "intra_op_threads",
        "spinning",
        "samples",
        "variation",
        "measured in",
        "engine",
        "build",
        "total",
        "stages",
        "what went wrong",
    ]


def test_numbers_are_shown_with_units_and_sorted_by_their_value() -> None:
    found = cells(small(), 0)
    assert found["latency_ms"] == ("12.50 ms", "12.5")
    assert found["intra_op_threads"] == ("2", "2")
    assert found["state"] == ("feasible best", None)
    text, value = found["engine"]
    assert text.endswith(" MiB")
    assert value is not None
    assert float(value) > 1e6


def test_failed_trials_have_their_reason_and_no_number_to_sort_by() -> None:
    found = cells(small(), 2)
    assert found["latency_ms"] == ("\N{EN DASH}", None)
    assert found["what went wrong"][0] == "build, crashed: the worker died by signal 11 (SIGSEGV)"
    assert found["stages"][0] == "graph 0.200, build 2.00"
    assert found["precision"][0] == "int8"


def test_infeasible_trials_name_the_constraint() -> None:
    assert cells(small(), 1)["what went wrong"][0] == "misses error&lt;=0.01 (is 0.5000)"


def test_text_columns_are_not_sorted_as_numbers() -> None:
    kinds = {column.title: column.numeric for column in columns(small())}
    assert (kinds["precision"], kinds["spinning"], kinds["intra_op_threads"]) == (False, False, True)


def test_trials_answered_from_storage_say_so() -> None:
    study = small()
    study = replace(study, trials=(study.trials[0], replace(study.trials[1], reused=True)))
    assert cells(study, 1)["state"][0] == "infeasible, reused"


def test_telemetry_has_columns_if_reported() -> None:
    found = cells(thorough_study(), 4)
    assert found["samples"] == ("2,400", "2400")
    assert found["clock"][0] == "1,498 MHz"
    assert found["power"][0] == "302 W"
    assert found["temperature"] == ("60 °C", "60")
    assert found["energy"][0].endswith(" mJ")
    assert found["clocks held by"][0] == "sw_power_cap"
    assert found["measured in"][0] == f"6 blocks, converged; 1 discarded ({THROTTLED})"
    text, value = found["variation"]
    assert value is not None
    assert text == f"{100 * float(value):.1f} %"


def test_trials_that_were_stopped_early_or_disturbed_say_so() -> None:
    study = thorough_study()
    assert cells(study, 1)["state"][0] == "feasible, throttled"
    assert cells(study, 9)["state"][0] == "feasible, stopped early"
    assert cells(study, 9)["measured in"][0] == "3 blocks, stopped early as clearly worse"
    failed_trial = next(trial for trial in study.trials if trial.failure)
    assert cells(study, failed_trial.number)["clock"] == ("\N{EN DASH}", None)


def test_rows_stay_small() -> None:
    study = study_record(100)
    assert len(table(StudyView(study))) < 1500 * 100
    assert len(table(StudyView(thorough_study(100)))) < 1700 * 100
