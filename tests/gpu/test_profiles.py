"""An engine of two optimization profiles on a real GPU, each case run in the profile that takes it."""

from dataclasses import replace
from pathlib import Path

import pytest

from engines.artifacts.workspace import Workspace
from engines.backends.base import Backend
from engines.core.values import Case, Policy, Profile, ShapePlan, ShapeRange
from engines.statistics.metrics import METRICS, over_cases
from engines.trials.evaluation import evaluate
from engines.trials.session import Session
from studies.core.space import baseline_of, candidate_at
from tests.workloads import tiny_conv, workload_of

pytestmark = pytest.mark.gpu

IMAGE = (3, 12, 12)
BOUNDS = ((1, 1, 4), (128, 512, 1024))


@pytest.mark.parametrize("cuda_graph", [False, True])
def test_each_case_runs_in_its_profile_and_is_right(
    backend: Backend, workspace: Workspace, tmp_path: Path, *, cuda_graph: bool
) -> None:
    ranges = [ShapeRange(*((size, *IMAGE) for size in bounds)) for bounds in BOUNDS]
    plan = ShapePlan(
        tuple(Profile({"x": of}) for of in ranges),
        tuple(Case({"x": of.optimum}, of.optimum[0]) for of in ranges),
    )
    workload = replace(workload_of(tiny_conv(tmp_path), x=(1, *IMAGE)), plan=plan)
    space = backend.dimensions(workload, concurrent=False)
    default = baseline_of(space).settings
    candidate = candidate_at(space, {**default, "cuda_graph": cuda_graph})
    session = Session(backend, workload, workspace, Policy(maximum_seconds=1.0))
    found = evaluate(session, candidate, lambda *_: None)
    assert found.failure is None
    assert found.accuracy is not None
    assert found.accuracy.error < 2e-3
    assert found.measurement is not None
    assert {block.case for block in found.measurement.blocks} == {0, 1}
    assert all(found.measurement.of_case(case).blocks for case in (0, 1))
    assert over_cases(METRICS["latency_ms"], found.measurement, plan.cases) is not None
