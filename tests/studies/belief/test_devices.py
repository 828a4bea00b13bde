"""What is believed of a study that was measured on several devices."""

from dataclasses import replace

import pytest

from studies.analysis.comparison import best, comparison
from studies.belief.bar import bar_of, most_lenient
from studies.belief.devices import beliefs
from studies.belief.noise import drift, noise
from studies.core.records import Objective, StudyRecord
from studies.search.observations import observation_of
from tests.studies.repeated import CANDIDATES, evaluation, repeat, study_at, with_self_test

LATENCY = (Objective("latency_ms", "minimize"),)
QUIET = [1.001, 0.999, 1.0005, 0.9995]


def beside(study: StudyRecord, level: float) -> StudyRecord:
    """The study with its trials after the first on another device, where everything takes so much longer."""
    baseline = study.trials[0].metrics["latency_ms"].value
    there = [
        replace(
            repeat("self-test", evaluation(CANDIDATES[0], level * baseline * step), seconds=2.0 * number + 2),
            device="there",
        )
        for number, step in enumerate(QUIET)
    ]
    here = [replace(one, device="here") for one in study.repeats]
    first, *others = study.trials
    moved = (replace(first, device="here"), *(replace(one, device="there") for one in others))
    return replace(study, trials=moved, repeats=(*here, *there))


@pytest.fixture
def study() -> StudyRecord:
    """Trial 2 is faster than trial 1 on the slower device, though trial 0 was faster than both at home."""
    return beside(with_self_test(study_at(1.0, 1.8, 1.6), QUIET), level=2.0)


def test_each_device_has_noise_and_a_level_of_its_own(study: StudyRecord) -> None:
    found = beliefs(study)
    assert found.home == "here"
    assert found.noise == noise(study)
    assert noise(study) is not None
    assert found.of("there").noise is not None
    assert found.of("there").levels["latency_ms"] == pytest.approx(2.0, rel=1e-3)
    assert found.of("here").levels == {}
    assert drift(study) is None


def test_ratios_go_to_the_baseline_of_the_same_device(study: StudyRecord) -> None:
    winner = best(study)
    assert winner is not None
    assert winner.number == 2
    found = comparison(study)
    assert found.speedup is not None
    assert found.speedup.value == pytest.approx(2.0 / 1.6, rel=1e-2)
    assert found.verdict == "faster"


def test_the_search_sees_every_trial_as_on_its_own_device(study: StudyRecord) -> None:
    found = beliefs(study)
    values = [(observation_of(trial, study.spec, found).values or (0.0,))[0] for trial in study.trials]
    assert values == pytest.approx([1.0, 0.9, 0.8], rel=1e-2)


def test_the_bar_is_that_of_the_device(study: StudyRecord) -> None:
    found = beliefs(study)
    bars = [bar_of(study.trials, LATENCY, found, name) for name in ("here", "there")]
    assert [bar.value for bar in bars if bar is not None] == pytest.approx([0.8, 1.6], rel=1e-2)
    assert most_lenient(bars, "minimize") == bars[1]
    assert most_lenient(bars, "maximize") == bars[0]
    # where there was no self-test nobody knows what is slow
    assert bar_of(study.trials, LATENCY, found, "elsewhere") is None
    assert most_lenient([*bars, None], "minimize") is None


def test_rows_without_a_device_were_measured_on_the_studys_own() -> None:
    old = with_self_test(study_at(1.0, 0.9), QUIET)
    assert beliefs(old).home == ""
    assert beliefs(old).noise is not None
    last = replace(old.trials[1], device="named")
    went_on = replace(old, trials=(old.trials[0], last))
    found = beliefs(went_on)
    assert found.home == "named"
    assert found.noise == beliefs(old).noise
    assert observation_of(last, old.spec, found) == observation_of(old.trials[1], old.spec, beliefs(old))
