from dataclasses import replace

import numpy as np
import pytest

from dashboards.charts import drawing
from dashboards.words.telemetry import is_pruned
from engines.statistics.estimates import Estimate
from tests.records import (
    AWKWARD,
    awkward_study,
    candidate,
    failed,
    measured,
    study_of,
    study_record,
)
from tests.repeats import with_racing

BASE = candidate("fp32", "all", 2, True)


def test_text_in_figures_is_escaped_as_plotly_reads_it() -> None:
    assert drawing.plain("<b>\"x\"</b> & 'y'") == "&lt;b&gt;\"x\"&lt;/b&gt; &amp; 'y'"


def test_hovering_shows_the_objective_the_error_and_what_differs_from_the_baseline() -> None:
    fast = candidate("int8", "all", 2, False)
    random = np.random.default_rng(0)
    study = study_of(measured(BASE, random), measured(fast, random, latency_ms=2.0, error=0.001, noise=0.0))
    assert drawing.hover(study, study.trials[1]).split("<br>") == [
        "trial 1, feasible",
        "latency_ms 2.000 ms",
        "error 0.001000",
        "precision = int8",
        "spinning = false",
    ]


def test_hovering_over_a_failed_trial_shows_why() -> None:
    study = study_of(failed(BASE, "build", "crashed", "<died>"))
    assert drawing.hover(study, study.trials[0]) == "trial 0, failed<br>build, crashed: &lt;died&gt;"


def test_hovering_shows_no_markup_of_others() -> None:
    study = awkward_study()
    texts = [drawing.hover(study, trial) for trial in study.trials]
    assert not any("<script" in text or AWKWARD in text for text in texts)


def test_hovering_says_that_a_trial_was_stopped_early() -> None:
    study = with_racing(study_record(30, failing=0))
    pruned = next(trial for trial in study.trials if is_pruned(trial))
    assert "stopped early" in drawing.hover(study, pruned).split("<br>")[0]


def test_many_settings_are_cut_short() -> None:
    study = awkward_study(2)
    many = replace(study.spec.space[1], choices=("x", "all"))
    space = tuple(replace(many, name=f"setting {index}", default="x") for index in range(12))
    run = {dimension.name: "all" for dimension in space}
    trial = replace(study.trials[0], candidate=replace(BASE, run=type(BASE.run)(run)))
    study = replace(study, spec=replace(study.spec, space=space))
    assert drawing.hover(study, trial).endswith("and 4 more settings")


def test_lists_of_trials_are_cut_short() -> None:
    assert drawing.numbers(range(3)) == "0, 1, 2"
    assert drawing.numbers(range(5), most=3) == "0, 1, 2 and 2 more"


def test_one_noisy_interval_does_not_stretch_the_axis() -> None:
    calm = [Estimate(0.03, 0.029, 0.031), Estimate(0.07, 0.069, 0.071)]
    noisy = Estimate(0.0097, -2.8, 2.81)
    low, high = drawing.ends([*calm, noisy])
    assert low == 0.0
    assert 0.071 < high < 0.12


def test_narrow_intervals_are_seen_whole() -> None:
    low, high = drawing.ends([Estimate(2.0, 1.9, 2.1), Estimate(3.0, 2.8, 3.2)])
    assert 1.7 < low < 1.9
    assert 3.2 < high < 3.4


@pytest.mark.parametrize(
    ("estimates", "expected"),
    [
        ([Estimate(-1.0), Estimate(1.0)], (-1.16, 1.16)),
        ([Estimate(0.0)], (0.0, 0.08)),
        ([Estimate(2.0, 1.0, 40.0)], (1.934, 2.066)),
        ([Estimate(0.1), Estimate(1.0)], (0.028, 1.072)),
    ],
)
def test_there_is_room_around_the_values(estimates: list[Estimate], expected: tuple[float, float]) -> None:
    assert drawing.ends(estimates) == pytest.approx(expected)


def test_a_logarithmic_axis_is_never_stretched_to_zero() -> None:
    low, high = drawing.ends([Estimate(1.0, -3.0, 5.0), Estimate(100.0, 99.0, 9999.0)], logarithmic=True)
    assert 0.2 < low < 0.3
    assert 400 < high < 500
    assert drawing.value_axis((0.1, 1000.0), logarithmic=True) == {"type": "log", "range": [-1.0, 3.0]}


def test_intervals_are_cut_off_where_nothing_is_shown() -> None:
    made = drawing.bars(
        [Estimate(1.0, -2.0, 9.0), Estimate(2.0), Estimate(2.0, 1.5, 2.5)], "best", (0.0, 3.0)
    )
    assert made["array"] == [2.0, 0.0, 0.5]
    assert made["arrayminus"] == [1.0, 0.0, 0.5]
