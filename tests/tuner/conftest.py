"""The command as a user meets it: in this process for speed, in one of its own where that matters."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import tuner
from studies.core.records import StudyRecord
from tests.command import Command, Ended, without_finals
from tests.records import study_record
from tests.tuner.measured_engines import export
from tests.worker_threads import workers_in_threads
from tests.workloads import tiny_conv
from tuner.cli import main


@pytest.fixture(autouse=True)
def _workers(request: pytest.FixtureRequest) -> Iterator[None]:
    """Only tests marked `processes` start a process for each worker."""
    if request.node.get_closest_marker("processes"):
        yield
    else:
        with workers_in_threads():
            yield


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Command:
    """The command, run in this process in an empty folder; a search holds finals only when it is told to."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Ended:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(without_finals([str(argument) for argument in arguments]))
        printed = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Ended(ended.value.code, printed.out, printed.err)

    return run


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A small model with the input `x` of batch x 3 x 12 x 12."""
    return tiny_conv(tmp_path)


@pytest.fixture(scope="session")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace, only to be read, with the study `net` of feasible, infeasible and failed trials."""
    folder = tmp_path_factory.mktemp("searched")
    with workers_in_threads():
        tuner.search(
            tiny_conv(folder),
            study="net",
            trials=30,
            min_gain=0,
            finalists=0,
            backend="fake:fault_rate=0.5,faults=refuse+nan,trial_seconds=0",
            workspace=folder / "w",
        )
    return folder / "w"


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder, only to be read, with an engine of the fake that was built for a batch of 2."""
    with workers_in_threads():
        return export(tmp_path_factory.mktemp("exported"), "fake")


@pytest.fixture
def study() -> StudyRecord:
    """Made-up trials of one study, some of which failed."""
    return study_record(12, failing=0.3, seed=3)
