"""What a landscape cannot answer is refused before anything runs."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engines.artifacts.workspace import Workspace
from engines.backends.base import Limited
from engines.backends.fake.backend import Fake
from engines.backends.replay import limits
from engines.backends.replay.backend import Replay
from engines.core.errors import UserError
from engines.core.values import NOTHING, InputSource, Policy, Settings, ShapeRange, TaskMetric, Workload
from engines.landscapes.file import Landscape, save
from engines.shapes.plan import single_plan
from engines.trials.evaluation import evaluate
from engines.trials.session import Session
from studies.core.metrics import METRICS, metrics_of, names_where
from tests import landscapes
from tests.landscapes import BASELINE, run
from tests.workloads import QUICK, file_at

DATA = InputSource(file=file_at("data.npz", "d"))
OTHER_DATA = InputSource(file=file_at("data.npz", "e"))
TOLD = names_where(lambda metric: metric.replayed)


@pytest.fixture
def recorded(tmp_path: Path) -> Landscape:
    return landscapes.landscape(landscapes.workload(tmp_path), [run(0, 0, 4.0)])


def _check(
    landscape: Landscape, workload: Workload, policy: Policy = QUICK, metrics: Sequence[str] = ("latency_ms",)
) -> None:
    limits.check(landscape, "l.json.gz", workload, policy, metrics)


def _complaint(
    landscape: Landscape, workload: Workload, policy: Policy = QUICK, metrics: Sequence[str] = ("latency_ms",)
) -> str:
    with pytest.raises(UserError) as refused:
        _check(landscape, workload, policy, metrics)
    return str(refused.value)


def test_recorded_candidate_is_replayed(recorded: Landscape) -> None:
    _check(recorded, recorded.workload, metrics=TOLD)


def test_replay_checks_its_limits_and_fake_has_none(recorded: Landscape, tmp_path: Path) -> None:
    save(tmp_path / "l.json.gz", recorded)
    backend = Replay(Settings(landscape=str(tmp_path / "l.json.gz")), tmp_path)
    assert isinstance(backend, Limited)
    assert not isinstance(Fake(NOTHING, tmp_path), Limited)
    with pytest.raises(UserError, match="does not report power_w"):
        backend.check(recorded.workload, QUICK, ["power_w"])


def test_another_model_or_shape_is_refused(recorded: Landscape) -> None:
    workload = recorded.workload
    other = replace(workload, model=replace(workload.model, file=file_at("m.onnx", "0")))
    assert "another model, " in _complaint(recorded, other)
    wider = {"x": ShapeRange((1, 3, 12, 12), (2, 3, 12, 12), (4, 3, 12, 12))}
    for shapes in ({}, wider):
        complaint = _complaint(recorded, replace(workload, plan=single_plan(shapes, 2)))
        assert complaint == "l.json.gz was recorded at other shapes. Write --shapes x:2x3x12x12."


def test_outputs_are_not_judged(recorded: Landscape) -> None:
    metric = TaskMetric("mine", "module:mine", "maximize", file_at("", "d"))
    for changed in ({"expected": DATA}, {"metrics": (metric,)}):
        complaint = _complaint(recorded, replace(recorded.workload, **changed), metrics=["mine"])
        assert "no outputs to be judged" in complaint


CHANGES = [
    ("--inputs", {"inputs": DATA}),
    ("--inputs", {"inputs": InputSource(file=file_at("", "d"), function="module:data")}),
    ("--calibration", {"calibration": DATA}),
    ("--keep-fp32", {"keep_fp32": ("Gemm",)}),
    ("--override-shape", {"override_shapes": {"x": (2, 3, 12, 12)}}),
]


@pytest.mark.parametrize(("option", "changed"), CHANGES)
def test_what_changes_the_numbers_is_as_it_was_recorded(
    option: str, changed: dict[str, Any], recorded: Landscape
) -> None:
    plain, told = recorded.workload, replace(recorded.workload, **changed)
    with_it = replace(recorded, workload=told)
    assert _complaint(recorded, told) == f"l.json.gz was recorded without {option}. Leave it out."
    assert (
        _complaint(with_it, plain) == f"l.json.gz was recorded with {option} of its own. "
        "Write it as it was recorded: tuner record tiny.onnx."
    )
    _check(with_it, told)


def test_other_data_in_a_file_of_the_same_name_changes_the_identity(recorded: Landscape) -> None:
    with_data = replace(recorded, workload=replace(recorded.workload, inputs=DATA))
    moved = replace(DATA, file=file_at("elsewhere/data.npz", "d"), seed=7)
    _check(with_data, replace(recorded.workload, inputs=moved))
    assert "with --inputs of its own" in _complaint(with_data, replace(recorded.workload, inputs=OTHER_DATA))


def test_random_inputs_of_any_seed_are_the_same_question(recorded: Landscape) -> None:
    _check(recorded, replace(recorded.workload, inputs=InputSource(seed=5)))


def test_copies_are_timed_where_they_were(recorded: Landscape) -> None:
    copied = replace(QUICK, transfers=True)
    assert "without --transfers" in _complaint(recorded, recorded.workload, copied)
    with_copies = replace(recorded, policy=copied)
    assert "with --transfers of its own" in _complaint(with_copies, recorded.workload)
    _check(with_copies, recorded.workload, copied)


def test_cold_times_are_not_made_up(recorded: Landscape) -> None:
    cold = replace(QUICK, cold=True)
    complaint = _complaint(recorded, recorded.workload, cold)
    assert complaint == "a replay has no times with caches flushed. Leave --cold out."
    assert "does not report cold_ms" in _complaint(recorded, recorded.workload, cold, ["cold_ms"])


@pytest.mark.parametrize("metric", sorted(METRICS.keys() - set(TOLD)))
def test_unrecorded_metric_is_refused_with_the_recorded_ones(metric: str, recorded: Landscape) -> None:
    complaint = _complaint(recorded, recorded.workload, metrics=["latency_ms", metric])
    assert complaint == f"a replay does not report {metric}. It reports {', '.join(TOLD)}."


def test_a_cosine_that_some_output_does_not_have_is_not_made_up(recorded: Landscape) -> None:
    first = recorded.runs[0]
    output = replace(first.outputs[0], cosine=None)
    without = replace(recorded, runs=(replace(first, outputs=(*first.outputs, output)),))
    assert "does not report cosine. It reports latency_ms" in _complaint(
        without, without.workload, metrics=["cosine"]
    )


def test_every_metric_that_is_served_is_told(recorded: Landscape, tmp_path: Path) -> None:
    save(tmp_path / "l.json.gz", recorded)
    backend = Replay(Settings(landscape=str(tmp_path / "l.json.gz")), tmp_path)
    long = replace(QUICK, minimum_inferences=400)
    session = Session(backend, landscapes.workload(tmp_path), Workspace(tmp_path / "w").create(), long)
    assert set(TOLD) <= metrics_of(evaluate(session, BASELINE, lambda *_: None)).keys()
