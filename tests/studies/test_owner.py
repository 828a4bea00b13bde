import gc
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest
from optuna.trial import TrialState

from engines.backends.fake import Fake
from engines.bench import Bench
from engines.errors import Interrupted, UserError
from engines.evaluation import evaluate_unless_measured
from engines.sharing import completed, fingerprint
from engines.values import (
    NOTHING,
    Artifact,
    Bar,
    Candidate,
    Evaluation,
    Failure,
    FailureKind,
    Settings,
    Stage,
    Workload,
)
from engines.workspace import Workspace
from studies.limits import SHORTEST_LIMIT_SECONDS, TIMES_BASELINE, Limits, Stop
from studies.listing import Listing, random_points
from studies.objectives import parse_constraints, parse_objectives
from studies.owner import Owner
from studies.records import StudySpec, TrialRecord
from studies.space import baseline_of, narrow
from studies.stopping import Left
from studies.storage import Storage, open_storage
from tests.workloads import QUICK, tiny_conv, workload_of

NOTHING_MEASURED: Mapping[str, Evaluation] = {}
Verdict = Callable[[Candidate], Evaluation | None]


@pytest.fixture(autouse=True)
def quick_collections() -> Iterator[None]:
    """Each trial collects garbage, and a process full of test modules has much to look through."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "w").create()


@pytest.fixture
def workload(tmp_path: Path) -> Workload:
    return workload_of(tiny_conv(tmp_path))


@pytest.fixture
def storage(workspace: Workspace) -> Iterator[Storage]:
    with open_storage(str(workspace.database)) as opened:
        yield opened


class Here:
    """Evaluates on the fake in this process; `verdict` may decide what comes of a candidate instead."""

    def __init__(
        self,
        workload: Workload,
        workspace: Workspace,
        verdict: Verdict = lambda _: None,
        options: Settings = NOTHING,
    ) -> None:
        self.bench = Bench(Fake(options, workspace.caches), workload, workspace, QUICK)
        self.verdict = verdict
        self.asked: list[Candidate] = []
        self.limits: list[float] = []
        self.bars: list[Bar | None] = []

    def evaluate(
        self,
        candidate: Candidate,
        seconds: float,
        on_progress: Callable[[Stage, str], None],
        bar: Bar | None = None,
        measured: Mapping[str, Evaluation] = NOTHING_MEASURED,
    ) -> Evaluation:
        self.asked.append(candidate)
        self.limits.append(seconds)
        self.bars.append(bar)
        told = self.verdict(candidate)
        if told is not None:
            return told
        found = evaluate_unless_measured(self.bench, candidate, on_progress, bar, measured)
        if isinstance(found, Evaluation):
            return found
        return completed(candidate, found, measured[found.fingerprint])

    def log_position(self) -> int:
        return len(self.asked)

    def log_since(self, position: int) -> str:
        return f"evaluation {position}\n" * (len(self.asked) - position)


@dataclass
class Notes:
    """An observer that keeps what it is told; `when_finished` is called with every record."""

    when_finished: Callable[[TrialRecord], None] = lambda record: None
    started_with: list[tuple[int, Candidate]] = field(default_factory=list)
    stages: list[tuple[int, Stage]] = field(default_factory=list)
    records: list[TrialRecord] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    doing: list[str] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)

    def note(self, text: str) -> None:
        self.notes.append(text)

    def expecting(self, left: Left) -> None:
        self.left.append(left)

    def preparing(self, what: str) -> None:
        self.doing.append(what)

    def started(self, number: int, candidate: Candidate) -> None:
        self.started_with.append((number, candidate))

    def stage(self, number: int, stage: Stage, detail: str = "") -> None:
        self.stages.append((number, stage))

    def finished(self, record: TrialRecord) -> None:
        self.records.append(record)
        self.when_finished(record)


def spec_of(
    workload: Workload,
    fixed: Mapping[str, Sequence[str]] | None = None,
    constraints: Sequence[str] = (),
    options: Settings = NOTHING,
) -> StudySpec:
    backend = Fake(options, Path())
    dimensions = backend.dimensions(workload, concurrent=False)
    return StudySpec(
        workload=workload,
        backend="fake",
        backend_options=options,
        machine=backend.machine(),
        objectives=parse_objectives(()),
        constraints=parse_constraints(constraints),
        space=narrow(dimensions, fixed or {}),
        baseline=baseline_of(dimensions),
        policy=QUICK,
    )


def owner_of(storage: Storage, spec: StudySpec, executor: Here, name: str = "study") -> Owner:
    if storage.find_spec(name) is None:
        storage.create_study(name, spec, {})
    return Owner(name, spec, storage, executor, Notes())


def in_order(owner: Owner) -> Owner:
    """The owner, trying every candidate whatever is found."""
    order = random_points(owner.spec.space, 999, seed=0)
    return replace(owner, sampler=partial(Listing, owner.spec.space, order))


def run(owner: Owner, trials: int, **limits: float) -> str:
    return owner.run(Limits(trials, **limits), Stop()).ending


def records_of(owner: Owner) -> list[TrialRecord]:
    assert isinstance(owner.observer, Notes)
    return owner.observer.records


def optuna_trials(storage: Storage, name: str = "study") -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name=name, storage=storage.url).trials


def failed(stage: Stage, kind: FailureKind, message: str = "no luck") -> Callable[[Candidate], Evaluation]:
    return lambda candidate: Evaluation(candidate, failure=Failure(stage, kind, message))


def test_trial_0_is_the_baseline_and_no_candidate_is_asked_twice(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    executor = Here(workload, workspace)
    owner = owner_of(storage, spec_of(workload), executor)
    assert run(owner, 40) == "complete"
    assert executor.asked[0] == owner.spec.baseline
    assert len(set(executor.asked)) == len(executor.asked) == 40
    stored = storage.read_study("study").trials
    assert [trial.number for trial in stored] == list(range(40))
    assert [trial.candidate for trial in stored] == executor.asked


def test_a_search_for_speed_begins_with_what_vendors_advise(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    executor = Here(workload, workspace)
    assert run(owner_of(storage, spec_of(workload), executor), 2) == "complete"
    settings = executor.asked[1].settings
    advised = [settings[name] for name in ("precision", "profile", "cuda_graph")]
    assert advised == ["fp16", "static", True]
    assert settings["builder_optimization_level"] == 3


def test_the_observer_is_told_of_each_trial_from_start_to_end(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    executor = Here(workload, workspace)
    owner = owner_of(storage, spec_of(workload), executor)
    run(owner, 3)
    notes = owner.observer
    assert isinstance(notes, Notes)
    assert notes.started_with == list(enumerate(executor.asked))
    assert [record.number for record in notes.records] == [0, 1, 2]
    assert {number for number, _ in notes.stages} == {0, 1, 2}
    assert {"build", "check", "measure"} <= {stage for _, stage in notes.stages}
    stored = storage.read_study("study").trials
    for told, kept in zip(notes.records, stored, strict=True):
        assert (told.state, told.metrics, told.violations) == (kept.state, kept.metrics, kept.violations)
        assert told.log == kept.log == f"evaluation {told.number}\n"
        assert told.seconds == kept.seconds >= sum(told.evaluation.stage_seconds.values())


def test_a_trial_is_stored_before_optuna_or_anybody_hears_of_it(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    seen = []

    def look(record: TrialRecord) -> None:
        seen.append((len(storage.finished("study")), len(optuna_trials(storage))))

    owner = replace(owner_of(storage, spec_of(workload), Here(workload, workspace)), observer=Notes(look))
    run(owner, 4)
    assert seen == [(1, 0), (2, 1), (3, 2), (4, 3)]
    assert len(optuna_trials(storage)) == 4


def test_a_search_that_ends_between_the_two_tells_optuna_when_it_goes_on(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    def stop(record: TrialRecord) -> None:
        if record.number == 3:
            raise Interrupted("killed")

    executor = Here(workload, workspace)
    owner = owner_of(storage, spec_of(workload), executor)
    with pytest.raises(Interrupted):
        run(replace(owner, observer=Notes(stop)), 10)
    assert (len(storage.finished("study")), len(optuna_trials(storage))) == (4, 3)
    assert run(owner, 10) == "complete"
    assert len(executor.asked) == 10
    values = [trial.metrics["latency_ms"].value for trial in storage.read_study("study").trials]
    assert [trial.value for trial in optuna_trials(storage)] == values


def test_another_run_goes_on_behind_the_last_and_repeats_nothing(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    executor = Here(workload, workspace)
    owner = owner_of(storage, spec_of(workload), executor)
    run(owner, 15)
    assert run(owner, 15) == "complete"
    assert len(executor.asked) == 15
    run(owner, 30)
    assert len(set(executor.asked)) == 30
    assert [trial.number for trial in optuna_trials(storage)] == list(range(30))


@pytest.mark.parametrize("stage", ["graph", "build"])
def test_what_fails_before_there_is_an_engine_is_not_tried_again(
    storage: Storage, workload: Workload, workspace: Workspace, stage: Stage
) -> None:
    def verdict(candidate: Candidate) -> Evaluation | None:
        hopeless = candidate.graph["precision"] == "int8" and candidate.build["profile"] == "wide"
        return failed(stage, "crashed", "the worker died of SIGSEGV")(candidate) if hopeless else None

    fixed = {"builder_optimization_level": ["3", "4"], "max_aux_streams": ["0"]}
    executor = Here(workload, workspace, verdict)
    owner = in_order(owner_of(storage, spec_of(workload, fixed), executor))
    assert run(owner, 99) == "exhausted"
    records = records_of(owner)
    assert len(records) == 3 * 3 * 2 * 2
    dead = [record for record in records if record.failure is not None]
    asked = [record for record in dead if record.candidate in executor.asked]
    # each build fails once, or a graph once for all of its builds
    assert len({record.candidate.build for record in asked}) == len(asked)
    assert len(asked) == {"build": 2, "graph": 1}[stage] or stage == "graph"
    for record in dead:
        if record in asked:
            continue
        assert record.failure is not None
        first = next(
            one for one in asked if stage == "graph" or one.candidate.build == record.candidate.build
        )
        assert record.failure.message == f"as in trial {first.number}: the worker died of SIGSEGV"
        assert (record.failure.stage, record.failure.kind) == (stage, "crashed")
        assert (record.reused, record.log) == (False, "")


def test_what_fails_with_an_engine_is_tried_again_under_another_run_spec(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    executor = Here(workload, workspace, failed("load", "out_of_memory"))
    fixed = {"precision": ["fp16"], "profile": ["wide"], "builder_optimization_level": ["3"]}
    owner = owner_of(storage, spec_of(workload, {**fixed, "max_aux_streams": ["0"]}), executor)
    assert run(owner, 99) == "exhausted"
    assert len(executor.asked) == 3


def test_our_own_mistake_in_a_build_is_no_verdict_on_it(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    executor = Here(workload, workspace, failed("build", "internal"))
    fixed = {"precision": ["fp16"], "profile": ["wide"], "builder_optimization_level": ["3"]}
    owner = owner_of(storage, spec_of(workload, {**fixed, "max_aux_streams": ["0"]}), executor)
    run(owner, 99)
    assert len(executor.asked) == 3


def test_what_an_earlier_study_found_is_answered_from_storage(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    spec = spec_of(workload)
    first = Here(workload, workspace)
    run(owner_of(storage, spec, first), 12)
    second = Here(workload, workspace)
    other = owner_of(storage, replace(spec, constraints=parse_constraints(["p99_ms<=1"])), second, "other")
    run(other, 12)
    assert not set(second.asked) & set(first.asked)
    assert [record.reused for record in records_of(other)] == [
        record.candidate in first.asked for record in records_of(other)
    ]
    assert records_of(other)[0].reused
    stored = storage.read_study("other").trials
    assert [trial.reused for trial in stored] == [record.reused for record in records_of(other)]
    assert stored[0].metrics == storage.read_study("study").trials[0].metrics
    assert stored[0].log == ""


def test_it_is_measured_again_where_that_is_asked_for(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    spec = spec_of(workload)
    run(owner_of(storage, spec, Here(workload, workspace)), 3)
    again = Here(workload, workspace)
    run(replace(owner_of(storage, spec, again, "other"), remeasure=True), 3)
    assert len(again.asked) == 3


@pytest.mark.parametrize(
    ("kind", "lasts"),
    [
        ("refused", True),
        ("not_finite", True),
        ("wrong_output", True),
        ("crashed", False),
        ("timeout", False),
        ("out_of_memory", False),
        ("internal", False),
    ],
)
def test_only_a_failure_that_would_repeat_itself_is_answered_from_storage(
    storage: Storage, workload: Workload, workspace: Workspace, kind: FailureKind, lasts: bool
) -> None:
    spec = spec_of(workload)
    run(owner_of(storage, spec, Here(workload, workspace, failed("check", kind))), 1)
    second = Here(workload, workspace)
    other = owner_of(storage, spec, second, "other")
    run(other, 1)
    assert len(second.asked) == (0 if lasts else 1)
    assert (records_of(other)[0].failure is not None) == lasts


def test_a_build_refused_in_this_study_does_not_hide_what_an_earlier_one_measured(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    fixed = {"precision": ["fp16"], "profile": ["wide"], "builder_optimization_level": ["3"]}
    spec = spec_of(workload, {**fixed, "max_aux_streams": ["0"], "cuda_graph": ["true"]})
    run(owner_of(storage, spec, Here(workload, workspace)), 9)
    wider = replace(spec, space=spec_of(workload, {**fixed, "max_aux_streams": ["0"]}).space)
    crashing = Here(workload, workspace, failed("build", "crashed"))
    other = in_order(owner_of(storage, wider, crashing, "other"))
    run(other, 9)
    by_graph = {record.candidate.run["cuda_graph"]: record for record in records_of(other)[1:]}
    assert by_graph[False].failure is not None
    assert by_graph[True].failure is None
    stored = {trial.candidate.run["cuda_graph"]: trial for trial in storage.read_study("other").trials[1:]}
    assert stored[False].failure == by_graph[False].failure
    assert stored[True].metrics == by_graph[True].metrics


def test_the_number_of_another_studys_trial_is_not_shown(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    fixed = {"precision": ["fp16"], "profile": ["wide"], "builder_optimization_level": ["3"]}
    spec = spec_of(workload, {**fixed, "max_aux_streams": ["0"]})
    refuse = failed("build", "refused", "no kernel")
    run(owner_of(storage, spec, Here(workload, workspace, refuse)), 3)
    other = owner_of(storage, spec, Here(workload, workspace, refuse), "other")
    run(other, 3)
    for number, trial in enumerate(storage.read_study("other").trials):
        assert trial.failure is not None
        message = trial.failure.message
        assert message == "no kernel" or message.startswith(tuple(f"as in trial {n}:" for n in range(number)))
        told = records_of(other)[number].failure
        assert told == trial.failure


def test_failures_reach_optuna_as_pruned_and_infeasible_trials_with_their_violation(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    options = Settings(fault_rate=0.6, faults="refuse+memory+nan+wrong")
    executor = Here(workload, workspace, options=options)
    owner = owner_of(storage, spec_of(workload, options=options), executor)
    run(owner, 40)
    records = records_of(owner)
    assert min(Counter(record.state for record in records).values()) >= 3
    for record, trial in zip(records, optuna_trials(storage), strict=True):
        if record.state == "failed":
            assert trial.state == TrialState.PRUNED
            assert trial.constraints["failed"] > 0
        else:
            assert trial.state == TrialState.COMPLETE
            assert (max(trial.constraints.values()) > 0) == (record.state == "infeasible")


def test_it_ends_when_every_candidate_was_tried(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    fixed = {"precision": ["fp32"], "profile": ["wide"], "max_aux_streams": ["0"]}
    executor = Here(workload, workspace)
    owner = owner_of(storage, spec_of(workload, fixed), executor)
    assert run(owner, 1000) == "exhausted"
    assert len(executor.asked) == 6 * 2


def test_a_space_of_one_candidate_needs_one_trial(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    spec = spec_of(workload)
    everything = {one.name: [str(one.default).lower()] for one in spec.space}
    executor = Here(workload, workspace)
    assert run(owner_of(storage, spec_of(workload, everything), executor), 50) == "exhausted"
    assert executor.asked == [spec.baseline]


def test_a_baseline_outside_the_space_is_tried_besides_every_candidate_inside(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    fixed = {"precision": ["fp16"], "profile": ["wide"], "max_aux_streams": ["0"]}
    executor = Here(workload, workspace)
    owner = owner_of(storage, spec_of(workload, fixed), executor)
    assert run(owner, 1000) == "exhausted"
    assert executor.asked[0].graph["precision"] == "fp32"
    assert all(candidate.graph["precision"] == "fp16" for candidate in executor.asked[1:])
    assert len(set(executor.asked)) == 1 + 6 * 2
    baseline, *others = optuna_trials(storage)
    assert (baseline.params, baseline.user_attrs["precision"]) == ({}, "fp32")
    assert all(len(trial.params) == 2 for trial in others)


def test_a_stop_ends_it_after_the_trial_in_flight(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    stop = Stop()

    def ask(record: TrialRecord) -> None:
        assert stop.running
        stop.requested = record.number == 2

    owner = replace(owner_of(storage, spec_of(workload), Here(workload, workspace)), observer=Notes(ask))
    assert owner.run(Limits(50), stop).ending == "interrupted"
    assert len(storage.finished("study")) == len(optuna_trials(storage)) == 3
    assert not stop.running


def test_a_time_limit_ends_it_after_the_trial_in_flight(
    storage: Storage, workload: Workload, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    executor = Here(workload, workspace)
    # a clock that each evaluation moves on by a second
    clock = SimpleNamespace(monotonic=lambda: float(len(executor.asked)), perf_counter=time.perf_counter)
    monkeypatch.setattr("studies.owner.time", clock)
    owner = owner_of(storage, spec_of(workload), executor)
    assert run(owner, 50, seconds=2.5) == "timeout"
    assert len(executor.asked) == len(storage.finished("study")) == 3
    assert run(owner, 50, seconds=1.0) == "timeout"
    assert len(executor.asked) == 4


def test_a_trial_may_take_as_long_as_was_said(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    executor = Here(workload, workspace)
    run(owner_of(storage, spec_of(workload), executor), 3, trial_seconds=7.0)
    assert executor.limits == [7.0, 7.0, 7.0]


@pytest.mark.parametrize(
    ("stages", "built_in", "limit"),
    [
        ({"build": 0.1}, None, SHORTEST_LIMIT_SECONDS),
        ({"build": 30.0, "measure": 3.0}, None, TIMES_BASELINE * 33.0),
        # the baseline's engine was there, and those of others will have to be built
        ({"build": 0.0, "measure": 3.0}, 30.0, TIMES_BASELINE * 33.0),
    ],
)
def test_a_trial_may_take_a_multiple_of_the_baseline(
    storage: Storage,
    workload: Workload,
    workspace: Workspace,
    stages: Mapping[str, float],
    built_in: float | None,
    limit: float,
) -> None:
    def verdict(candidate: Candidate) -> Evaluation:
        engine = Artifact("e" * 32, 1, 0.0, reused=True, facts={"build_seconds": built_in or 0.0})
        failure = Failure("measure", "refused", "no luck")
        return Evaluation(candidate, engine=engine, failure=failure, stage_seconds=stages)

    executor = Here(workload, workspace, verdict)
    run(owner_of(storage, spec_of(workload), executor), 2)
    assert executor.limits[1] == pytest.approx(limit)


def test_a_full_disk_ends_it_and_is_no_trial(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    def verdict(candidate: Candidate) -> Evaluation | None:
        full = len(executor.asked) > 2
        return failed("build", "disk_full", "no space left in the workspace")(candidate) if full else None

    executor = Here(workload, workspace, verdict)
    owner = owner_of(storage, spec_of(workload), executor)
    with pytest.raises(UserError, match="no space left in the workspace") as raised:
        run(owner, 10)
    assert "run the same command again" in raised.value.hint
    assert len(storage.finished("study")) == len(optuna_trials(storage)) == 2
    executor.verdict = lambda _: None
    assert run(owner, 10) == "complete"


def test_a_baseline_that_fails_is_stored_and_the_search_goes_on(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    def verdict(candidate: Candidate) -> Evaluation | None:
        return failed("measure", "crashed")(candidate) if len(executor.asked) == 1 else None

    executor = Here(workload, workspace, verdict)
    owner = owner_of(storage, spec_of(workload), executor)
    assert run(owner, 5) == "complete"
    assert [record.state == "failed" for record in records_of(owner)] == [True] + [False] * 4


@pytest.mark.parametrize(
    ("constraint", "said"),
    [
        ("device_memory_bytes<=1e9", "this machine does not tell device_memory_bytes"),
        ("top1_agreement>=0.9", "the outputs of this model have no top1_agreement"),
    ],
)
def test_a_metric_that_the_baseline_does_not_have_ends_the_search_at_once(
    storage: Storage, workload: Workload, workspace: Workspace, constraint: str, said: str
) -> None:
    executor = Here(workload, workspace)
    owner = owner_of(storage, spec_of(workload, constraints=[constraint]), executor)
    for _ in range(2):
        with pytest.raises(UserError, match=said):
            run(owner, 10)
    assert len(executor.asked) == len(storage.finished("study")) == 1


def test_a_metric_that_only_so_short_a_measurement_does_not_have_ends_nothing(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    constraints = ["energy_mj<=1e9", "p99_bound_ms<=1e-9"]
    owner = owner_of(storage, spec_of(workload, constraints=constraints), Here(workload, workspace))
    assert run(owner, 3) == "complete"
    assert "energy_mj" not in records_of(owner)[0].metrics


def test_a_second_search_of_the_same_study_is_told_to_leave_it_alone(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    spec = spec_of(workload)
    rival = owner_of(storage, spec, Here(workload, workspace))

    def run_the_other(record: TrialRecord) -> None:
        if record.number == 1:
            run(rival, 4)

    owner = replace(rival, observer=Notes(run_the_other))
    with pytest.raises(UserError, match=r"this study does not know of|stored already"):
        run(owner, 6)
    assert len(storage.finished("study")) == 4


@pytest.mark.parametrize("stage", ["graph", "build"])
def test_the_search_does_not_ask_for_what_cannot_be_made(
    storage: Storage, workload: Workload, workspace: Workspace, stage: Stage
) -> None:
    def verdict(candidate: Candidate) -> Evaluation | None:
        hopeless = candidate.graph["precision"] == "int8"
        return failed(stage, "crashed")(candidate) if hopeless else None

    owner = owner_of(storage, spec_of(workload), Here(workload, workspace, verdict))
    run(owner, 40)
    dead = [record.candidate for record in records_of(owner) if record.failure is not None]
    assert dead
    assert len({one.graph if stage == "graph" else (one.graph, one.build) for one in dead}) == len(dead)


def test_the_search_learns(storage: Storage, workload: Workload, workspace: Workspace) -> None:
    every = in_order(
        owner_of(storage, spec_of(workload, constraints=["error<=1"]), Here(workload, workspace))
    )
    run(every, 999)
    best = min(record.metrics["latency_ms"].value for record in records_of(every))
    owner = owner_of(storage, every.spec, Here(workload, workspace), "other")
    # a run that goes on learns from the one before
    run(owner, 10)
    run(owner, 25)
    found = min(record.metrics["latency_ms"].value for record in records_of(owner))
    assert found < 1.02 * best


def test_the_search_ends_when_little_is_left_to_gain(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    owner = owner_of(storage, spec_of(workload, constraints=["error<=1"]), Here(workload, workspace))
    ended = owner.run(Limits(200, min_gain=0.02), Stop())
    assert ended.ending == "converged"
    assert ended.left is not None
    assert ended.left.chance < 0.02
    assert isinstance(owner.observer, Notes)
    assert owner.observer.left[-1] == ended.left
    assert 15 <= len(owner.observer.records) < 100
    assert run(owner, 110) == "complete"


def test_an_engine_that_is_the_same_shares_the_measurement_of_the_first(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    fixed = {"precision": ["fp32"], "profile": ["wide"], "cuda_graph": ["false"]}
    spec = spec_of(workload, {**fixed, "max_aux_streams": ["0"]})
    executor = Here(workload, workspace, options=Settings(inert="builder_optimization_level"))
    owner = owner_of(storage, spec, executor)
    assert run(owner, 3) == "complete"
    first, *others = records_of(owner)
    assert [trial.same_as for trial in (first, *others)] == [None, 0, 0]
    assert all(trial.metrics["latency_ms"] == first.metrics["latency_ms"] for trial in others)
    assert len({trial.engine.digest for trial in (first, *others) if trial.engine}) == 3
    assert not any("measure" in trial.evaluation.stage_seconds for trial in others)
    assert all("check" in trial.evaluation.stage_seconds for trial in others)
    assert [trial.same_as for trial in storage.read_study("study").trials] == [None, 0, 0]


def test_it_is_measured_anew_where_everything_is(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    spec = spec_of(workload, {"precision": ["fp32"], "profile": ["wide"], "max_aux_streams": ["0"]})
    executor = Here(workload, workspace, options=Settings(inert="builder_optimization_level"))
    owner = replace(owner_of(storage, spec, executor), remeasure=True)
    run(owner, 4)
    assert [trial.same_as for trial in records_of(owner)] == [None] * 4
    assert all("measure" in trial.evaluation.stage_seconds for trial in records_of(owner))


def test_a_shared_evaluation_answers_a_later_study_like_any_other(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    fixed = {"precision": ["fp32"], "profile": ["wide"], "cuda_graph": ["false"]}
    spec = spec_of(workload, {**fixed, "max_aux_streams": ["0"], "builder_optimization_level": ["3", "4"]})
    executor = Here(workload, workspace, options=Settings(inert="builder_optimization_level"))
    run(owner_of(storage, spec, executor), 9)
    asked = len(executor.asked)
    later = owner_of(storage, replace(spec, constraints=parse_constraints(["error<=1"])), executor, "later")
    run(later, 9)
    assert len(executor.asked) == asked == 2
    assert [(trial.reused, trial.same_as) for trial in records_of(later)] == [(True, None), (True, 0)]


def test_a_dimension_that_changes_nothing_leaves_the_space_with_a_note(
    storage: Storage, workload: Workload, workspace: Workspace
) -> None:
    fixed = {"precision": ["fp32", "fp16"], "profile": ["wide", "static"], "max_aux_streams": ["0"]}
    spec = spec_of(
        workload, {**fixed, "cuda_graph": ["false"], "builder_optimization_level": ["2", "3", "4"]}
    )
    executor = Here(workload, workspace, options=Settings(inert="builder_optimization_level"))
    owner = owner_of(storage, spec, executor)
    assert run(owner, 12) == "exhausted"
    assert 4 < len(executor.asked) < 12
    assert isinstance(owner.observer, Notes)
    (told,) = owner.observer.notes
    assert told.startswith("builder_optimization_level changes nothing here: 3 choices")
    # every engine there is was found nevertheless
    assert len({fingerprint(trial.engine) for trial in records_of(owner)}) == 4
    again = owner_of(storage, spec, executor)
    assert run(again, 12) == "exhausted"
    assert records_of(again) == []
