"""A workload of two cases: each is checked, measured and weighted."""

from dataclasses import replace
from pathlib import Path

import pytest

from engines.artifacts.workspace import Workspace
from engines.backends.base import Backend
from engines.backends.fake.backend import Fake
from engines.backends.onnxruntime.backend import OnnxRuntime
from engines.core.results import Evaluation
from engines.core.values import NOTHING, Bar, Case, Profile, ShapePlan, ShapeRange, Workload
from engines.statistics.metrics import METRICS, over_cases
from engines.trials.evaluation import evaluate
from engines.trials.session import Session
from studies.core.space import baseline_of
from tests.workloads import QUICK, tiny_conv, workload_of

IMAGE = (3, 12, 12)
SMALL, LARGE = (1, *IMAGE), (64, *IMAGE)
CASES = (Case({"x": SMALL}, 1, weight=3.0), Case({"x": LARGE}, 64))


@pytest.fixture(params=[Fake, OnnxRuntime])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    made: Backend = request.param(NOTHING, tmp_path)
    return made


def _evaluated(backend: Backend, folder: Path, cases: tuple[Case, ...], bar: Bar | None = None) -> Evaluation:
    workload: Workload = workload_of(tiny_conv(folder), x=SMALL)
    plan = ShapePlan((Profile({"x": ShapeRange(SMALL, SMALL, LARGE)}),), cases)
    workload = replace(workload, plan=plan)
    session = Session(backend, workload, Workspace(folder / "workspace").create(), replace(QUICK, cold=True))
    space = backend.dimensions(workload, concurrent=True)
    return evaluate(session, baseline_of(space), lambda stage, _: None, bar)


def test_every_case_is_measured_in_blocks_of_its_own(backend: Backend, tmp_path: Path) -> None:
    found = _evaluated(backend, tmp_path, CASES)
    assert found.measurement is not None
    measurement = found.measurement
    assert {block.case for block in measurement.blocks} == {0, 1}
    assert {block.case for block in measurement.cold} == {0, 1}
    parts = [measurement.of_case(case) for case in (0, 1)]
    assert sum(len(part.blocks) for part in parts) == len(measurement.blocks)
    assert measurement.warmup_runs > 0


def test_every_case_is_checked(backend: Backend, tmp_path: Path) -> None:
    found = _evaluated(backend, tmp_path, CASES)
    assert found.accuracy is not None
    one = _evaluated(backend, tmp_path, CASES[:1])
    assert one.accuracy is not None
    assert found.accuracy.samples == 65 * one.accuracy.samples
    assert found.accuracy.error <= 1e-3


def test_latency_is_weighted_by_requests_and_throughput_by_their_samples(
    backend: Backend, tmp_path: Path
) -> None:
    measurement = _evaluated(backend, tmp_path, CASES).measurement
    assert measurement is not None
    latency, throughput = METRICS["latency_ms"], METRICS["throughput"]
    small, large = measurement.of_case(0), replace(measurement.of_case(1), batch=64)
    found = over_cases(latency, measurement, CASES)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high
    values = [latency.derive(one) for one in (small, large)]
    assert values[0] is not None
    assert values[1] is not None
    assert found.value == pytest.approx(0.75 * values[0].value + 0.25 * values[1].value)
    rate = over_cases(throughput, measurement, CASES)
    rates = [throughput.derive(one) for one in (small, large)]
    assert rate is not None
    assert rates[0] is not None
    assert rates[1] is not None
    assert rate.value == pytest.approx((3 + 64) / (3 / rates[0].value + 64 / rates[1].value))


def test_no_case_ends_at_a_bar_that_is_for_all_of_them(backend: Backend, tmp_path: Path) -> None:
    out_of_reach = Bar(1e-9, 0.01)
    alone = _evaluated(backend, tmp_path, CASES[:1], out_of_reach).measurement
    assert alone is not None
    assert alone.pruned
    both = _evaluated(backend, tmp_path, CASES, out_of_reach).measurement
    assert both is not None
    assert not both.pruned
    assert {block.case for block in both.blocks} == {0, 1}
