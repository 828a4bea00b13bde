"""The documents of studies, as other programs read them."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engines.core.results import Evaluation, Failure
from engines.core.values import InputSource, Settings, TaskMetric
from engines.statistics.estimates import Estimate
from studies.analysis.view import StudyView
from studies.core.records import Prior, StudyRecord, StudySpec, TrialRecord
from studies.search.stopping import Left
from tests.command import Command
from tests.records import study_record
from tests.repeats import THROTTLED, thorough_study
from tests.workloads import file_at
from tuner.documents.base import dump
from tuner.documents.study import (
    EndedSearch,
    OneTrial,
    Study,
    export_document,
    one_trial_document,
    study_document,
)
from tuner.workflows.outcome import Outcome, outcome_document


def document_of(study: StudyRecord) -> Any:
    """The document as other programs read it."""
    return json.loads(dump(study_document(StudyView(study))))


@pytest.fixture(scope="module")
def studies() -> list[StudyRecord]:
    """Studies that between them have every kind of trial, and every map filled."""
    study = study_record(40, seed=1, failing=0.3)
    workload = study.spec.workload
    model = replace(workload.model, index_limits={"ids": 100})
    machine = replace(study.spec.machine, limits={"power_watts": 300})
    spec = replace(study.spec, workload=replace(workload, model=model), machine=machine)
    thorough = thorough_study(drift=0.05, constraints=["error<=0.01", "p99_bound_ms<=33"])
    first = thorough.repeats[0]
    broken = Evaluation(first.evaluation.candidate, failure=Failure("load", "refused", "no"))
    again = (*thorough.repeats, replace(first, role="anchor", evaluation=broken))
    scored = _with_score(study.trials[0])
    return [
        replace(study, trials=(scored, *study.trials[1:])),
        replace(study, spec=replace(_with_own_data(spec), backend_options=Settings(device=0))),
        replace(thorough, repeats=again, priors=(Prior("resnet-50", 0.83, 50),)),
    ]


def _with_score(trial: TrialRecord) -> TrialRecord:
    assert trial.accuracy is not None
    accuracy = replace(trial.accuracy, scores={"accuracy": 0.97})
    return replace(trial, evaluation=replace(trial.evaluation, accuracy=accuracy))


def _with_own_data(spec: StudySpec) -> StudySpec:
    """With all that a user can say of what is right."""
    source = InputSource(file=file_at("data.npz", "0"))
    metric = TaskMetric("accuracy", "task:accuracy", "maximize", file_at(".", "0"))
    own = replace(
        spec.workload,
        calibration=source,
        expected=source,
        metrics=(metric,),
        keep_fp32=("Softmax",),
        override_shapes={"x": (1, 3)},
    )
    return replace(spec, workload=own)


def test_remaining_gain_is_reported_with_its_probability(
    studies: list[StudyRecord],
) -> None:
    outcome = Outcome(studies[0], "converged", Path("r"), None, 1, left=Left(0.002, 0.04, 0.031))
    document = json.loads(dump(outcome_document(outcome)))
    names = ("left_to_gain", "chance_of_more", "least_gain")
    assert [document[name] for name in names] == [0.002, 0.04, 0.031]


def test_documents_match_their_types(studies: list[StudyRecord]) -> None:
    for study in studies:
        text = dump(study_document(StudyView(study)))
        assert msgspec.json.decode(text, type=Study) == study_document(StudyView(study))
        for trial in study.trials:
            one = one_trial_document(study, trial)
            assert msgspec.json.decode(dump(one), type=OneTrial) == one


def test_evidence_holds_what_the_study_is_about_and_the_trial(studies: list[StudyRecord]) -> None:
    study = studies[1]
    evidence = export_document(study, study.trials[0], {"e.bin": {"bytes": 1, "sha256": "0"}}, "engine")
    found, whole = json.loads(dump(evidence)), document_of(study)
    assert found["trial"] == found["baseline"] == whole["trials"][0]
    assert found["files"] == {"e.bin": {"bytes": 1, "sha256": "0"}}
    assert found["bundle"] == "engine"
    about = set(found) - {"trial", "baseline", "files", "bundle"}
    assert {name: found[name] for name in about} == {name: whole[name] for name in about}
    assert {"model", "shapes", "machine", "space"} <= about


def test_search_prints_the_study_and_how_it_ended(command: Command, model: Path) -> None:
    backend = "fake:fault_rate=0.6,faults=refuse"
    ended = command("search", model, "--backend", backend, "--trials", 8, "--json")
    document = msgspec.json.decode(ended.out, type=EndedSearch)
    left = (document.left_to_gain, document.chance_of_more, document.least_gain)
    assert left == (None, None, None)
    assert (document.ending, document.new_trials, len(document.trials)) == ("complete", 8, 8)


def test_repeats_are_in_the_document(studies: list[StudyRecord]) -> None:
    document = document_of(studies[2])
    # trial 0, five runs behind it, and four anchors
    assert document["noise"]["runs"] == 10
    assert 0 < document["noise"]["detectable"] < 0.1
    assert document["drift"]["significant"]
    assert document["drift"]["change"]["low"] < document["drift"]["change"]["value"]
    finals = document["finals"]
    assert (finals["winner"], finals["sessions"]) == (document["best"], 5)
    values = [one["value"]["value"] for one in finals["finalists"]]
    assert values == sorted(values)
    winner = next(one for one in finals["finalists"] if (one["trial"], one["build"]) == (finals["winner"], 0))
    assert winner["against_winner"] is None
    assert winner["against_baseline"]["verdict"] == document["verdict"] == "faster"
    assert document["speedup"] == {
        name: winner["against_baseline"][name] for name in ("value", "low", "high")
    }
    assert [one["luck"] for one in finals["rebuilt"]] == [False]
    roles = [one["role"] for one in document["repeats"]]
    assert [roles.count(role) for role in ("self-test", "anchor", "final")] == [5, 5, 20]
    assert document["repeats"][-1]["failure"] == "no"


def test_missing_repeats_are_null(studies: list[StudyRecord]) -> None:
    document = document_of(studies[0])
    assert [document[name] for name in ("noise", "drift", "finals", "repeats")] == [None, None, None, []]
    assert document["racing"] == {"stopped_early": [], "saved_seconds": None}
    assert document["trials"][0]["certificate"] is None


def test_trials_say_how_they_were_measured(studies: list[StudyRecord]) -> None:
    document = document_of(studies[2])
    behind = [trial["number"] for trial in document["trials"] if (trial["measurement"] or {}).get("behind")]
    assert behind == document["racing"]["stopped_early"] != []
    assert document["racing"]["saved_seconds"] > 0
    throttled, repeated = (document["trials"][number]["measurement"] for number in (1, 4))
    assert (throttled["disturbed_blocks"], throttled["discarded_blocks"]) == (1, 0)
    assert (throttled["samples"], throttled["counted_samples"]) == (2400, 2000)
    assert throttled["throttled"]["hw_thermal_slowdown"] == pytest.approx(1 / 6)
    assert throttled["telemetry"]["clock_mhz"]["low"] == 1200
    assert (repeated["disturbed_blocks"], repeated["discarded_blocks"]) == (0, 1)
    assert repeated["disturbances"] == [THROTTLED]
    assert repeated["waited"] == pytest.approx(0.01)
    certificate = document["trials"][document["best"]]["certificate"]
    assert (certificate["deadline_ms"], certificate["misses"], certificate["holds"]) == (33, 0, True)
    assert certificate["samples"] == 6 * 2400


def test_numbers_that_are_not_finite_are_null_and_nothing_is_left_out(studies: list[StudyRecord]) -> None:
    trial = studies[0].trials[0]
    metrics = {**trial.metrics, "error": Estimate(math.inf)}
    odd = replace(trial, metrics=metrics, violations={"error<=0.01": math.inf})
    document = document_of(replace(studies[0], trials=(odd, *studies[0].trials[1:])))
    assert document["trials"][0]["metrics"]["error"]["value"] is None
    assert document["trials"][0]["violations"] == {"error<=0.01": None}
