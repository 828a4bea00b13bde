"""The documents for other programs, and docs/json.md, which describes them field by field."""

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engines.core.results import Evaluation, Failure
from engines.core.values import InputSource, Settings, TaskMetric
from engines.statistics.estimates import Estimate
from studies.core.records import Prior, StudyRecord, StudySpec, TrialRecord
from studies.search.stopping import Left
from tests.command import Command
from tests.paths import DOCS
from tests.records import study_record
from tests.repeats import THROTTLED, thorough_study
from tuner.documents.study import (
    columns,
    dump,
    export_document,
    one_trial_document,
    study_document,
    to_csv,
    trial_rows,
)
from tuner.workflows.outcome import Outcome, outcome_document

PAGE = DOCS / "json.md"
# objects whose keys depend on the study
NAMED = re.compile(
    r"(versions|operators|index_limits|shapes|options|libraries|limits|settings|metrics|violations"
    r"|stage_seconds|excluded|files|telemetry|throttled|scores|override_shapes)$"
)


@pytest.fixture(scope="module")
def section() -> dict[str, str]:
    """The page's text by its headings."""
    _, *parts = PAGE.read_text(encoding="utf-8").split("\n## ")
    return {part.partition("\n")[0]: part for part in parts}


def _described(text: str) -> set[str]:
    return set(re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE))


def _fields(documents: Iterable[Any], named: re.Pattern[str] = NAMED) -> set[str]:
    """The fields that any of the documents has; what is null in one and an object in another is an object."""
    found = {path for document in documents for path in _paths(json.loads(dump(document)), "", named)}
    return {path for path in found if not any(other.startswith((f"{path}.", f"{path}[]")) for other in found)}


def _paths(value: Any, path: str, named: re.Pattern[str]) -> Iterator[str]:
    if isinstance(value, dict):
        for key, part in value.items():
            name = "NAME" if path and named.search(path) else key
            yield from _paths(part, f"{path}.{name}" if path else name, named)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for part in value:
            yield from _paths(part, f"{path}[]", named)
    else:
        yield path


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
    source = InputSource(path="data.npz", digest="0")
    metric = TaskMetric("accuracy", "task:accuracy", "maximize", ".", "0")
    own = replace(
        spec.workload,
        calibration=source,
        expected=source,
        metrics=(metric,),
        keep_fp32=("Softmax",),
        override_shapes={"x": (1, 3)},
    )
    return replace(spec, workload=own)


def test_the_page_describes_a_study_and_its_trials(
    section: dict[str, str], studies: list[StudyRecord]
) -> None:
    described = _described(section["A study"]) | _described(section["A trial"])
    assert _fields(study_document(study) for study in studies) == described


def test_the_page_describes_one_trial(section: dict[str, str], studies: list[StudyRecord]) -> None:
    found = _fields(one_trial_document(study, trial) for study in studies for trial in study.trials)
    inner = {field.removeprefix("trials[].") for field in _described(section["A trial"])}
    assert found == inner | {"schema", "study", "log"}


def test_the_page_describes_what_a_search_prints(
    section: dict[str, str], command: Command, model: Path
) -> None:
    backend = "fake:fault_rate=0.6,faults=refuse"
    document = command("search", model, "--backend", backend, "--trials", 8, "--json").document
    described = set().union(
        *(_described(section[name]) for name in ("A study", "A trial", "The end of a search"))
    )
    undescribed = _fields([document]) - described
    # what is null here and an object elsewhere
    empty = {
        field
        for field in undescribed
        if any(other.startswith((f"{field}.", f"{field}[]")) for other in described)
    }
    assert undescribed == empty
    extra = _described(section["The end of a search"])
    assert extra <= document.keys()
    left = [document[name] for name in ("left_to_gain", "chance_of_more", "least_gain")]
    assert left == [None, None, None]


def test_what_is_left_to_gain_is_told_with_the_gain_that_its_chance_is_for(
    studies: list[StudyRecord],
) -> None:
    outcome = Outcome(studies[0], "converged", Path("r"), None, 1, left=Left(0.002, 0.04, 0.031))
    document = outcome_document(outcome)
    names = ("left_to_gain", "chance_of_more", "least_gain")
    assert [document[name] for name in names] == [0.002, 0.04, 0.031]


def test_the_page_describes_all_studies(section: dict[str, str], command: Command, searched: Path) -> None:
    document = command("studies", "--workspace", searched, "--json").document
    assert _fields([document]) == _described(section["All studies"])


def test_the_page_describes_a_plan(section: dict[str, str], command: Command, model: Path) -> None:
    documents = [
        command("search", model, "--backend", name, "--dry-run", "--json").document
        for name in ("fake", "onnxruntime")
    ]
    documents[0]["space"][0]["excluded"] = {"fp4": "none has it"}
    found = _fields(documents, re.compile(rf"{NAMED.pattern}|^baseline$"))
    assert found == _described(section["A plan"])


def test_the_page_describes_the_evidence(section: dict[str, str], studies: list[StudyRecord]) -> None:
    study = replace(studies[1], priors=studies[2].priors)
    evidence = export_document(study, study.trials[0], {"e.bin": {"bytes": 1, "sha256": "0"}})
    about = {
        field
        for field in _described(section["A study"])
        if field.partition(".")[0].partition("[")[0] in study_document(study)
        and field.partition(".")[0] not in _described(section["The evidence of an export"])
    }
    found = {re.sub(r"^(trial|baseline)\..*", r"\1", field) for field in _fields([evidence])}
    assert found <= about | _described(section["The evidence of an export"])
    assert _described(section["The evidence of an export"]) <= found


def test_the_page_names_the_columns_of_the_csv(section: dict[str, str], studies: list[StudyRecord]) -> None:
    text = section["CSV"]
    dimensions = {dimension.name for dimension in studies[0].spec.space}
    metrics = {name for trial in studies[0].trials for name in trial.metrics}
    for column in columns(studies[0]):
        name = re.sub(r"_(low|high)$", "", column)
        assert column in dimensions or name in metrics or f"`{column}`" in text


def test_what_was_measured_again_is_told_in_numbers(studies: list[StudyRecord]) -> None:
    document = json.loads(dump(study_document(studies[2])))
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


def test_what_was_not_measured_again_is_null(studies: list[StudyRecord]) -> None:
    document = study_document(studies[0])
    assert [document[name] for name in ("noise", "drift", "finals", "repeats")] == [None, None, None, []]
    assert document["racing"] == {"stopped_early": [], "saved_seconds": None}
    assert document["trials"][0]["certificate"] is None


def test_trials_say_how_they_were_measured(studies: list[StudyRecord]) -> None:
    document = json.loads(dump(study_document(studies[2])))
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
    document = study_document(replace(studies[0], trials=(odd, *studies[0].trials[1:])))
    assert document["trials"][0]["metrics"]["error"]["value"] is None
    assert document["trials"][0]["violations"] == {"error<=0.01": None}
    assert json.loads(dump(document)) == json.loads(dump(document))


def test_rows_have_all_columns_of_the_study_in_one_order(studies: list[StudyRecord]) -> None:
    rows = trial_rows(studies[0])
    names = columns(studies[0])
    assert names[:2] == ["number", "state"]
    last = ["behind", "violated", "failed_at", "failure", "seconds", "reused", "same_engine_as"]
    assert names[-7:] == last
    assert all(list(row) == names for row in rows)
    assert not any(row["behind"] for row in rows)
    assert any(row["behind"] for row in trial_rows(studies[2]))
    failed = next(row for row in rows if row["state"] == "failed")
    assert failed["latency_ms"] is None


def test_a_metric_of_the_users_has_a_column_too(studies: list[StudyRecord]) -> None:
    study = studies[0]
    own = TaskMetric("f1", "task:f1", "maximize", "/here", "ab")
    workload = replace(study.spec.workload, metrics=(own,))
    trials = [replace(one, metrics={**one.metrics, "f1": Estimate(0.5)}) for one in study.trials]
    scored = replace(study, spec=replace(study.spec, workload=workload), trials=tuple(trials))
    assert "f1" in columns(scored)
    assert trial_rows(scored)[0]["f1"] == 0.5


def test_csv_of_a_study_without_trials_has_its_columns(studies: list[StudyRecord]) -> None:
    empty = replace(studies[0], trials=())
    text = to_csv(trial_rows(empty), columns(empty))
    assert text == ",".join(columns(empty)) + "\n"
    assert text.startswith("number,state,precision,")


def test_csv_quotes_what_would_break_a_row(studies: list[StudyRecord]) -> None:
    failed = next(trial for trial in studies[0].trials if trial.failure is not None)
    assert failed.failure is not None
    message = 'a "quoted", message\nof two lines; and a semicolon'
    failure = replace(failed.failure, message=message)
    odd = replace(failed, evaluation=replace(failed.evaluation, failure=failure))
    study = replace(studies[0], trials=(odd,))
    read = list(csv.DictReader(io.StringIO(to_csv(trial_rows(study), columns(study)))))
    assert read[0]["failure"] == message
