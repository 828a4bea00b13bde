"""Finals held over engines that are made up: no process, no time."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import pytest

from engines.core.errors import Interrupted, UserError
from engines.core.results import Evaluation, Failure
from engines.core.values import Candidate
from studies.belief.measurement_plan import MeasurementPlan
from studies.run import session as session_module
from studies.run.session import Contest, Entry, entries_of
from tests.studies.repeated import evaluation, study_at

MEASUREMENT_PLAN = MeasurementPlan(sessions=3, rounds=4)
STUDY = study_at(1.0, 0.9, 0.8)


@dataclass
class Stage:
    """Where made-up processes appear; `diary` is what was asked of whom, in order."""

    diary: list[tuple[str, str]] = field(default_factory=list)
    failing: dict[str, str] = field(default_factory=dict)
    interrupted_by: str = ""
    # whose process cannot be used, and what happens while one loads
    unusable: tuple[str, ...] = ()
    while_loading: Callable[[], object] = lambda: None
    killed: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def engine(self, entry: Entry) -> Iterator["LoadedEngine"]:
        self.diary.append(("start", entry.name))
        try:
            yield LoadedEngine(self, entry)
        finally:
            self.diary.append(("close", entry.name))

    def asked(self, what: str) -> list[str]:
        return [name for deed, name in self.diary if deed == what]


@dataclass
class LoadedEngine:
    stage: Stage
    entry: Entry

    def _do(self, deed: str) -> Evaluation | None:
        self.stage.diary.append((deed, self.entry.name))
        if self.stage.interrupted_by == deed:
            raise Interrupted("stop")
        if self.stage.failing.get(self.entry.name) == deed:
            failure = Failure("load", "out_of_memory", "no room")
            return Evaluation(self.entry.trial.candidate, failure=failure)
        return None

    def open(self) -> object:
        if self.entry.name in self.stage.unusable:
            raise UserError(f"{self.entry.name} took its process down")
        return self._do("open")

    def hold(self, candidate: Candidate, seconds: float) -> Evaluation | None:
        assert candidate == self.entry.trial.candidate
        found = self._do("hold")
        self.stage.while_loading()
        return found

    def sample(self, candidate: Candidate, seconds: float) -> Evaluation | None:
        return self._do("sample")

    def release(self, candidate: Candidate, seconds: float) -> Evaluation:
        return self._do("release") or evaluation(candidate, 1.0)

    def kill(self) -> None:
        self._do("kill")
        self.stage.killed.set()


def contest(stage: Stage, rebuilds: int = 0) -> Contest:
    return Contest(entries_of(STUDY.trials, rebuilds), 3, MEASUREMENT_PLAN, stage.engine, lambda _: None)


def test_every_entry_has_a_process_of_its_own_in_every_session() -> None:
    stage = Stage()
    for number in range(2):
        records = contest(stage).session(number)
        assert [(one.trial, one.session, one.after, one.role) for one in records] == [
            (trial, number, 3, "final") for trial in range(3)
        ]
    names = ["the baseline", "trial 1", "trial 2"]
    for deed in ("start", "open", "hold", "release", "close"):
        assert sorted(stage.asked(deed)) == sorted(names * 2)


def test_each_round_times_every_entry_once_in_an_order_of_its_own() -> None:
    stage = Stage()
    contest(stage).session(0)
    turns = stage.asked("sample")
    rounds = [tuple(turns[start : start + 3]) for start in range(0, len(turns), 3)]
    assert len(rounds) == MEASUREMENT_PLAN.rounds
    assert all(len(set(one)) == 3 for one in rounds)
    assert len(set(rounds)) > 1


def test_no_engine_is_timed_before_all_are_loaded_or_released_before_all_were_timed() -> None:
    stage = Stage()
    contest(stage).session(0)
    deeds = [deed for deed, _ in stage.diary]
    assert max(index for index, deed in enumerate(deeds) if deed == "hold") < deeds.index("sample")
    last_sample = max(index for index, deed in enumerate(deeds) if deed == "sample")
    assert last_sample < deeds.index("release")


@pytest.mark.parametrize("deed", ["hold", "sample"])
def test_failed_entry_is_stored_and_the_others_continue(deed: str) -> None:
    stage = Stage(failing={"trial 1": deed})
    records = contest(stage).session(0)
    assert [one.evaluation.failure is not None for one in records] == [False, True, False]
    assert stage.asked("sample").count("trial 2") == MEASUREMENT_PLAN.rounds
    assert "trial 1" not in stage.asked("release")


@pytest.mark.parametrize("deed", ["open", "hold", "sample", "release"])
def test_an_interruption_ends_every_process(deed: str) -> None:
    stage = Stage(interrupted_by=deed)
    with pytest.raises(Interrupted):
        contest(stage).session(0)
    assert sorted(stage.asked("kill")) == sorted(stage.asked("close")) == sorted(stage.asked("start"))


def test_all_but_the_baseline_are_rebuilt_as_often_as_asked() -> None:
    names = [entry.name for entry in entries_of(STUDY.trials, 2)]
    assert names == [
        "the baseline",
        "trial 1",
        "trial 2",
        "trial 1, rebuild 1",
        "trial 1, rebuild 2",
        "trial 2, rebuild 1",
        "trial 2, rebuild 2",
    ]
    assert {one.build for one in contest(Stage(), rebuilds=2).session(0)} == {0, 1, 2}


def test_session_reports_its_steps() -> None:
    told: list[str] = []
    replace(contest(Stage()), say=told.append).session(1)
    assert told[0].endswith("session 2 of 3: loading 3 engines")
    assert any(line.endswith("round 4 of 4") for line in told)


def test_engines_that_exist_are_loaded_together() -> None:
    together = threading.Barrier(len(STUDY.trials))
    contest(Stage(while_loading=lambda: together.wait(timeout=20))).session(0)


def test_entries_that_may_build_are_loaded_one_after_another() -> None:
    makers: list[int] = []
    stage = Stage(while_loading=lambda: makers.append(threading.get_ident()))
    contest(stage, rebuilds=1).session(0, may_build=True)
    assert len(makers) == 5
    assert len(set(makers)) == 1
    deeds = [deed for deed, _ in stage.diary]
    assert max(at for at, deed in enumerate(deeds) if deed == "open") < deeds.index("hold")


def test_interruption_during_a_build_starts_no_waiting_entry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    builders: list[threading.Thread] = []
    stage = Stage()

    def build() -> None:
        builders.append(threading.current_thread())
        stage.killed.wait(timeout=20)

    def interrupt(_: str) -> None:
        if builders:
            raise KeyboardInterrupt

    monkeypatch.setattr(session_module, "TICK_SECONDS", 0.01)
    stage.while_loading = build
    with pytest.raises(KeyboardInterrupt):
        replace(contest(stage), say=interrupt).session(0, may_build=True)
    builders[0].join(timeout=20)
    assert stage.asked("hold") == ["the baseline"]


def test_entry_whose_process_dies_on_opening_fails_and_the_others_continue() -> None:
    stage = Stage(unusable=("trial 1",))
    records = contest(stage).session(0)
    failures = [one.evaluation.failure for one in records]
    assert failures[0] is failures[2] is None
    assert failures[1] is not None
    assert (failures[1].kind, failures[1].message) == ("crashed", "trial 1 took its process down")
    assert "trial 1" not in stage.asked("hold")


def test_where_no_process_can_be_used_there_is_no_session() -> None:
    with pytest.raises(UserError, match="took its process down"):
        contest(Stage(unusable=("the baseline", "trial 1", "trial 2"))).session(0)
