"""`tuner record` on the fake backend, and a search on what it wrote."""

import errno
import re
from pathlib import Path
from typing import Any

import pytest

import tuner
from engines.landscapes.file import Landscape, load
from engines.landscapes.truths import truths
from studies.belief.measurement_plan import TRIALS_ALONE
from studies.belief.noise import baseline_runs
from studies.setup.request import Request
from studies.storage.storage import open_storage
from tests.command import Command
from tuner.options.record import RecordOptions
from tuner.options.search import Place, SearchOptions
from tuner.progress.watchers import Silent
from tuner.workflows import record

FAKE = "fake:fault_rate=0.2,faults=refuse+nan,seed=3"
# 48 candidates and the baseline, which has another profile
SMALL = ("--fix", "profile=narrow", "--fix", "builder_optimization_level=2,3", "--self-test", 0)


def _record(command: Command, model: Path, *arguments: object) -> Any:
    return command("record", model, "--backend", FAKE, *SMALL, *arguments, "--json").document


@pytest.fixture
def landscape(command: Command, model: Path) -> Landscape:
    document = _record(command, model, "--passes", 7, "--output", "l.json.gz")
    assert document["candidates"] == 49
    return load(Path("l.json.gz"))


def test_the_whole_space_is_recorded_once_and_the_best_again(landscape: Landscape) -> None:
    first = [run.candidate for run in landscape.runs if run.round == 0]
    assert sorted(first) == list(range(49))
    # all but one pass are over ever fewer
    sizes = [sum(run.round == number for run in landscape.runs) for number in range(1, 8)]
    assert sizes == [17, 9, 9, 5, 5, 5, 5]
    assert landscape.points[0] == ()
    assert len(set(landscape.points)) == 49
    order = [
        landscape.candidate(run.candidate).build["builder_optimization_level"] for run in landscape.runs[:48]
    ]
    assert order != sorted(order, key=int)


def test_landscape_has_provenance_without_paths(landscape: Landscape, tmp_path: Path) -> None:
    assert landscape.command.startswith("tuner record tiny.onnx --passes 7 --backend ")
    assert "--output" not in landscape.command
    assert landscape.workload.model.file.name == "tiny.onnx"
    assert landscape.constraints == ("error<=0.01",)
    failures = {run.failure.message for run in landscape.runs if run.failure is not None}
    assert failures
    assert not any("trial" in message or str(tmp_path) in message for message in failures)


def test_a_search_on_the_landscape_finds_its_best(landscape: Landscape, model: Path) -> None:
    true = truths(landscape)
    feasible = [
        run.candidate
        for run in landscape.runs
        if run.round == 0 and run.outputs and run.outputs[0].relative_l2 < 0.01
    ]
    best = min(true[of] or 99.0 for of in feasible)
    found = tuner.search(
        model,
        backend="replay:landscape=l.json.gz",
        trials=60,
        min_gain=0,
        self_test=0,
        finalists=0,
        workspace="replayed",
    )
    assert found.best is not None
    of = next(of for of in feasible if landscape.candidate(of) == found.best.candidate)
    assert true[of] == pytest.approx(best, rel=0.01)
    with open_storage("replayed/studies.db") as storage:
        trials = storage.read_study(storage.study_names()[0]).trials
    failed = {trial.candidate for trial in trials if trial.failure is not None}
    assert failed
    assert failed <= {landscape.candidate(run.candidate) for run in landscape.runs if run.failure is not None}


def test_running_again_adds_nothing_and_writes_again(command: Command, model: Path) -> None:
    first = _record(command, model, "--candidates", 6, "--passes", 2)
    Path(first["landscape"]).unlink()
    again = _record(command, model, "--candidates", 6, "--passes", 2)
    assert (first["new_runs"], again["new_runs"]) == (first["runs"], 0)
    assert Path(again["landscape"]).exists()
    more = _record(command, model, "--candidates", 8, "--passes", 0)
    assert (more["candidates"], more["new_runs"]) == (8, 2)
    assert len(set(load(Path(more["landscape"])).points)) == 8


class _StopsIn(Silent):
    """Presses Ctrl-C in the third measurement of a pass."""

    def __init__(self, stop: Any) -> None:
        self.stop, self.seen = stop, 0

    def preparing(self, what: str, seconds_left: float | None = None) -> None:
        self.seen += bool(re.match(r"pass \d+ of", what))
        self.stop.requested = self.seen == 3


def test_a_pass_that_was_interrupted_goes_on_where_it_stopped(model: Path, tmp_path: Path) -> None:
    from studies.run.limits import Stop

    search = SearchOptions(
        Request(model, FAKE, fix=("profile=narrow", "builder_optimization_level=2,3")),
        measurement_plan=TRIALS_ALONE,
        place=Place(workspace=tmp_path / "w"),
    )
    options = RecordOptions(search, candidates=12, passes=3)
    stop = Stop()
    early = record.run(options, _StopsIn(stop), stop)
    assert early.ending == "interrupted"
    assert len(early.study.repeats) == 3
    whole = record.run(options, Silent(), Stop())
    runs = [(one.session, one.trial) for one in whole.study.repeats]
    assert len(runs) == len(set(runs)) == whole.new_runs + 3
    assert {one.role for one in whole.study.repeats} == {"again"}
    assert len(baseline_runs(whole.study.trials, whole.study.repeats, "latency_ms")) == 1


def test_a_large_space_is_not_recorded_by_accident(
    command: Command, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record, "MOST_CANDIDATES", 40)
    complaint = command("record", model, "--backend", FAKE, *SMALL).complaint
    assert "the space has 49 candidates" in complaint
    assert "--candidates N" in complaint


def test_each_is_measured_for_as_long_as_asked(command: Command, model: Path) -> None:
    times = ("--warm-up", "0s", "--duration", "50ms")
    _record(command, model, "--candidates", 2, "--passes", 0, *times, "--output", "l.json.gz")
    policy = load(Path("l.json.gz")).policy
    assert (policy.warmup_seconds, policy.minimum_seconds, policy.maximum_seconds) == (0.0, 0.05, 0.05)
    assert policy.block_seconds == pytest.approx(0.01)


def test_engines_that_are_loaded_together_belong_to_a_study_of_their_own(
    command: Command, model: Path
) -> None:
    few = ("--candidates", 2, "--passes", 1, "--output", "l.json.gz")
    _record(command, model, *few)
    assert not load(Path("l.json.gz")).policy.loads_together
    complaint = command("record", model, "--backend", FAKE, *SMALL, *few, "--together").complaint
    assert "another way of timing (none, not --together)" in complaint
    _record(command, model, "--together", *few, "--study", "another")
    assert load(Path("l.json.gz")).policy.loads_together
    assert "--together" in load(Path("l.json.gz")).command.split()


@pytest.mark.parametrize(
    "about", [("--objective", "device_memory_bytes"), ("--constraint", "device_memory_bytes<=1e9")]
)
def test_device_memory_is_not_asked_of_engines_that_are_loaded_together(
    about: tuple[str, str], command: Command, model: Path
) -> None:
    complaint = command("record", model, "--backend", FAKE, *SMALL, "--together", *about).complaint
    assert "device_memory_bytes is not known" in complaint
    assert "Leave --together out" in complaint


@pytest.mark.parametrize("option", [("--candidates", 0), ("--passes", -1), ("--duration", "0s")])
def test_invalid_numbers_are_refused(option: tuple[str, object], command: Command, model: Path) -> None:
    assert f"{option[0]} must be" in command("record", model, "--backend", FAKE, *option).complaint


def test_the_end_says_what_was_recorded_and_how_to_replay_it(command: Command, model: Path) -> None:
    ended = command("record", model, "--backend", FAKE, *SMALL, "--candidates", 5, "--passes", 1)
    assert ended.code == 0
    assert ended.out.startswith("5 candidates recorded (")
    file = ".tuner/reports/tiny-landscape/landscape.json.gz"
    assert f"Landscape  {file} (" in ended.out
    assert f"tuner search {model} --backend replay:landscape={file}" in ended.out


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_measured(
    command: Command, model: Path
) -> None:
    Path("folder").mkdir()
    Path("file").touch()
    for output, said in (
        ("folder", "'folder' is a folder. Name the file"),
        ("file/l.json.gz", "cannot write the"),
    ):
        assert said in command("record", model, "--backend", FAKE, *SMALL, "--output", output).complaint
    assert not Path(".tuner").exists()
    Path(".tuner/reports/tiny-landscape/landscape.json.gz").mkdir(parents=True)
    refused = command("record", model, "--backend", FAKE, *SMALL)
    assert refused.code == 2
    assert "landscape.json.gz' is a folder. Name the file" in refused.err
    assert not list(Path(".tuner/engines").iterdir())


def test_unwritable_landscape_is_one_line(
    command: Command, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(record, "save", save)
    few = ("--candidates", 2, "--passes", 0)
    ended = command("record", model, "--backend", FAKE, *SMALL, *few)
    assert ended.code == 2
    complaint = ended.err.splitlines()[-1]
    assert complaint.startswith("error: cannot write the landscape to '.tuner/reports/tiny-landscape/")
    assert "run the same command again" in complaint
