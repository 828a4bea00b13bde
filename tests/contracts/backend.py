"""What every backend must do; a backend's test module subclasses this and says how it is opened."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from engines.accuracy.errors import compare
from engines.artifacts.fingerprints import Reused, fingerprint
from engines.artifacts.store import make_engine, make_graph
from engines.artifacts.workspace import Workspace
from engines.backends.base import Describes
from engines.backends.registry import BACKENDS, Backend, Runner, open_backend
from engines.core.errors import EngineError, UserError
from engines.core.results import Artifact
from engines.core.values import Candidate, Dimension, Machine, Policy, Settings, Tensors, Value, Workload
from engines.core.wire import from_json, to_json
from engines.data.inputs import make_inputs
from engines.machine.device import Device, this_host
from engines.machine.telemetry import between
from engines.trials.evaluation import evaluate, evaluate_unless_measured
from engines.trials.session import Session
from studies.core.space import baseline_of, candidate_at
from tests.workloads import QUICK, tiny_conv, workload_of


class BackendContract:
    """The suite; `name` is the backend's, `options` what it is opened with."""

    name: ClassVar[str]
    options: ClassVar[Settings] = Settings()
    # relative L2 error of the baseline against the reference
    tolerance: ClassVar[float] = 1e-4

    @pytest.fixture
    def backend(self, tmp_path: Path) -> Backend:
        return open_backend(self.name, self.options, tmp_path)

    @pytest.fixture
    def workload(self, tmp_path: Path) -> Workload:
        return workload_of(tiny_conv(tmp_path), x=(2, 3, 12, 12))

    @pytest.fixture
    def workspace(self, tmp_path: Path) -> Workspace:
        return Workspace(tmp_path / "workspace").create()

    @pytest.fixture
    def session(self, backend: Backend, workload: Workload, workspace: Workspace) -> Session:
        return Session(backend, workload, workspace, QUICK)

    def test_it_is_in_the_table_under_its_own_name(self, backend: Backend) -> None:
        assert self.name in BACKENDS
        assert backend.name == self.name

    def test_an_unknown_option_is_the_users_mistake(self, tmp_path: Path) -> None:
        with pytest.raises(UserError, match="no option 'colour'"):
            open_backend(self.name, Settings(colour="red"), tmp_path)

    def test_the_machine_is_the_same_each_time_and_survives_the_wire(self, backend: Backend) -> None:
        machine = backend.machine()
        assert machine == backend.machine() == from_json(to_json(machine), Machine)
        assert machine.processor
        assert machine.cores >= 1
        assert machine.libraries

    def test_the_device_is_one_of_this_host_and_survives_the_wire(self, backend: Backend) -> None:
        device = backend.device()
        assert device == backend.device() == from_json(to_json(device), Device)
        assert device.host == this_host()
        assert device.kind == BACKENDS[self.name].device
        assert device.uuid.startswith({"cpu": "cpu", "gpu": "GPU-", "simulated": "simulated"}[device.kind])
        assert device.processor == backend.machine().processor

    def test_its_entry_says_whether_it_runs_files_by_themselves(self, backend: Backend) -> None:
        assert isinstance(backend, Describes) == (BACKENDS[self.name].files is not None)

    @pytest.mark.parametrize("concurrent", [False, True])
    def test_dimensions_are_well_formed(
        self, backend: Backend, workload: Workload, *, concurrent: bool
    ) -> None:
        dimensions = backend.dimensions(workload, concurrent)
        assert from_json(to_json(dimensions), tuple[Dimension, ...]) == dimensions
        assert len({dimension.name for dimension in dimensions}) == len(dimensions)
        for dimension in dimensions:
            assert dimension.default in dimension.choices
            assert len(set(map(str, dimension.choices))) == len(dimension.choices)
            assert dimension.about
            assert not set(dimension.excluded) & set(map(str, dimension.choices))

    def test_streams_and_batch_are_offered_for_throughput_only(
        self, backend: Backend, workload: Workload
    ) -> None:
        def choices(concurrent: bool) -> dict[str, int]:
            return {one.name: len(one.choices) for one in backend.dimensions(workload, concurrent)}

        alone, together = choices(concurrent=False), choices(concurrent=True)
        assert (alone["streams"], alone["batch"]) == (1, 1)
        assert together["streams"] > 1
        assert together["batch"] > 1

    def test_the_baseline_is_right_and_measured(self, session: Session) -> None:
        stages: list[str] = []
        evaluation = evaluate(
            session, _baseline(session), lambda stage, detail: None if detail else stages.append(stage)
        )
        assert evaluation.failure is None
        assert evaluation.accuracy is not None
        assert evaluation.accuracy.error <= self.tolerance
        assert evaluation.measurement is not None
        assert evaluation.measurement.batch == 2
        assert stages == ["graph", "prepare", "build", "load", "check", "warm-up", "measure", "check"]
        assert set(evaluation.stage_seconds) == set(stages)

    def test_every_choice_of_every_dimension_is_measured_or_fails_with_a_reason(
        self, session: Session
    ) -> None:
        dimensions = session.backend.dimensions(session.workload, True)
        for dimension in dimensions:
            for choice in dimension.choices:
                point = {**where_it_applies(dimensions, dimension), dimension.name: choice}
                candidate = candidate_at(dimensions, point)
                evaluation = evaluate(session, candidate, lambda *_: None)
                failure = evaluation.failure
                assert failure is None or (failure.message and failure.kind != "internal"), failure

    def test_an_engine_depends_on_graph_and_build_settings_and_nothing_else(self, session: Session) -> None:
        dimensions = session.backend.dimensions(session.workload, True)
        digests = {_engine_of(session, _baseline(session)): "baseline"}
        for dimension in dimensions:
            default = where_it_applies(dimensions, dimension)
            digests.setdefault(
                _engine_of(session, candidate_at(dimensions, default)), f"for {dimension.name}"
            )
            for choice in dimension.choices:
                if choice == dimension.default:
                    continue
                found = _engine_of(session, candidate_at(dimensions, {**default, dimension.name: choice}))
                assert (found in digests) == (dimension.kind == "run"), (dimension.name, choice)
                digests[found] = f"{dimension.name}={choice}"

    def test_an_engine_is_built_once_and_found_again(self, session: Session) -> None:
        first = evaluate(session, _baseline(session), lambda *_: None)
        second = evaluate(session, _baseline(session), lambda *_: None)
        assert first.engine is not None
        assert second.engine is not None
        assert (first.engine.reused, second.engine.reused) == (False, True)
        assert first.engine.digest == second.engine.digest
        assert first.engine.size_bytes == second.engine.size_bytes > 0
        assert first.engine.facts["build_seconds"] == second.engine.facts["build_seconds"]

    def test_a_build_has_the_same_fingerprint_in_another_workspace(
        self, session: Session, tmp_path: Path
    ) -> None:
        elsewhere = replace(session, workspace=Workspace(tmp_path / "elsewhere").create())
        first, second = (_made(one, _baseline(session)) for one in (session, elsewhere))
        assert (first.reused, second.reused) == (False, False)
        assert fingerprint(first) == fingerprint(second)

    def test_an_engine_that_was_measured_is_only_checked(self, session: Session) -> None:
        first = evaluate(session, _baseline(session), lambda *_: None)
        known = fingerprint(first.engine)
        if known is None:
            pytest.skip("this backend cannot tell engines apart")
        stages: list[str] = []
        found = evaluate_unless_measured(
            session, _baseline(session), lambda stage, detail: stages.append(stage), None, [known]
        )
        assert isinstance(found, Reused)
        assert {"check", "load"} <= set(stages)
        assert not {"warm-up", "measure"} & set(stages)

    def test_a_block_times_every_inference_on_every_stream(self, session: Session) -> None:
        runner, _ = _open(session, streams=2)
        try:
            assert runner.streams == 2
            block = runner.block(0.02)
        finally:
            runner.close()
        assert len(block.latency_ms) >= 2
        assert (block.latency_ms > 0).all()
        assert block.span_seconds >= block.latency_ms.max() / 1e3 * 0.999
        assert not block.latency_ms.flags.writeable or block.latency_ms.dtype == np.float64

    def test_a_block_of_no_time_runs_once(self, session: Session) -> None:
        runner, _ = _open(session)
        try:
            assert len(runner.block(0.0).latency_ms) == 1
        finally:
            runner.close()

    def test_a_cold_block_runs_one_inference_at_a_time(self, session: Session) -> None:
        runner, inputs = _open(session, streams=2)
        try:
            block = runner.block(0.02, cold=True)
            outputs = runner.infer(inputs[0], 1)
        finally:
            runner.close()
        assert len(block.latency_ms) >= 1
        assert (block.latency_ms > 0).all()
        assert block.latency_ms.sum() / 1e3 <= block.span_seconds * 1.001
        expected = session.reference(session.workload.plan.batch).outputs[0]
        assert compare(expected, outputs)[0].relative_l2 <= self.tolerance

    @pytest.mark.parametrize("transfers", [False, True])
    def test_parts_are_kept_where_asked_and_add_up_to_the_latency(
        self, session: Session, *, transfers: bool
    ) -> None:
        runner, _ = _open(session, 2, replace(QUICK, parts=True, transfers=transfers))
        try:
            parted = runner.block(0.01)
        finally:
            runner.close()
        assert {len(part) for part in parted.parts.values()} <= {len(parted.latency_ms)}
        timed = [parted.parts[name] for name in ("h2d_ms", "compute_ms", "d2h_ms") if name in parted.parts]
        assert not timed or np.allclose(np.sum(timed, axis=0), parted.latency_ms)

    def test_no_parts_are_kept_unless_asked_for(self, session: Session) -> None:
        runner, _ = _open(session)
        try:
            assert runner.block(0.0).parts == {}
        finally:
            runner.close()

    def test_a_reading_says_what_the_one_before_did_and_counts_on(self, session: Session) -> None:
        runner, _ = _open(session)
        try:
            before = session.backend.probe().read()
            runner.block(0.05)
            after = session.backend.probe().read()
        finally:
            runner.close()
        assert after.at > before.at
        assert set(after.values) == set(before.values)
        assert set(after.counters) == set(before.counters)
        assert all(after.counters[name] >= count for name, count in before.counters.items())
        found = between(before, after)
        assert all(np.isfinite(value) and value >= 0 for value in found.values()), found

    def test_outputs_are_right_on_every_stream_before_and_after_timing(self, session: Session) -> None:
        runner, inputs = _open(session, streams=2)
        expected = session.reference(session.workload.plan.batch).outputs
        try:
            for _ in range(2):
                for stream in range(runner.streams):
                    for batch, right in zip(inputs, expected, strict=True):
                        assert compare(right, runner.infer(batch, stream))[0].relative_l2 <= self.tolerance
                runner.block(0.01)
        finally:
            runner.close()

    def test_a_batch_of_another_size_is_computed(self, session: Session) -> None:
        dimensions = session.backend.dimensions(session.workload, True)
        default = {dimension.name: dimension.default for dimension in dimensions}
        evaluation = evaluate(session, candidate_at(dimensions, {**default, "batch": 4}), lambda *_: None)
        assert evaluation.measurement is not None
        assert evaluation.measurement.batch == 4

    def test_a_spoiled_engine_is_built_again(self, session: Session) -> None:
        first = evaluate(session, _baseline(session), lambda *_: None)
        assert first.engine is not None
        for file in (session.workspace.engines / first.engine.digest).iterdir():
            if file.name != "facts.json":
                file.write_bytes(b"\0" * file.stat().st_size)
        second = evaluate(session, _baseline(session), lambda *_: None)
        assert second.failure is None
        assert second.engine is not None
        assert not second.engine.reused

    def test_closing_is_enough_to_run_again(self, session: Session) -> None:
        for _ in range(3):
            runner, _ = _open(session)
            runner.block(0.0)
            runner.close()


def _baseline(session: Session) -> Candidate:
    return baseline_of(session.backend.dimensions(session.workload, False))


def where_it_applies(dimensions: Sequence[Dimension], one: Dimension) -> dict[str, Value]:
    """The defaults, but for what gives a dimension a meaning: the first value of each that does."""
    defaults = {dimension.name: dimension.default for dimension in dimensions}
    return {**defaults, **{name: values[0] for name, values in one.applies_to.items()}}


def _engine_of(session: Session, candidate: Candidate) -> str:
    try:
        return _made(session, candidate).digest
    except EngineError as error:  # a choice that this machine refuses has no engine to share
        return str(error)


def _made(session: Session, candidate: Candidate) -> Artifact:
    graph = make_graph(session.backend, session.workload, candidate.graph, session.workspace)
    return make_engine(session.backend, session.workload, candidate, session.workspace, graph)[0]


def _open(session: Session, streams: int = 1, policy: Policy = QUICK) -> tuple[Runner, list[Tensors]]:
    candidate = _baseline(session)
    graph, file = make_graph(session.backend, session.workload, candidate.graph, session.workspace)
    _, folder = make_engine(session.backend, session.workload, candidate, session.workspace, (graph, file))
    inputs = make_inputs(session.workload, session.workload.plan.batch)
    run = Settings(candidate.run, streams=streams)
    return session.backend.open(folder, session.workload, run, inputs[0], policy), inputs
