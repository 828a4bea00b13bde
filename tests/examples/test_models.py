import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from engines.core.values import InputSource, Workload
from engines.data.inputs import make_inputs
from engines.models.read import read_model
from engines.shapes.plan import single_plan
from engines.shapes.resolve import batch_of, resolve
from examples import models


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("examples")
    for name in models.NAMES:
        models.save(name, folder)
    return folder


def _workload(path: Path, sequence: int = 12) -> Workload:
    model = read_model(path)
    shapes = {
        facts.name: tuple(
            dim if isinstance(dim, int) else {"batch": 1, "sequence": sequence}[str(dim)]
            for dim in facts.shape
        )
        for facts in model.inputs
    }
    ranges, _ = resolve(model, shapes)
    batch, batched = batch_of(model, ranges)
    return Workload(model, single_plan(ranges, batch), batched, InputSource(seed=3))


def _session(path: Path) -> ort.InferenceSession:
    return ort.InferenceSession(path, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("name", models.NAMES)
@pytest.mark.parametrize("batch", [1, 8])
def test_every_model_runs_on_made_inputs_at_any_batch(folder: Path, name: str, batch: int) -> None:
    path = folder / f"{name}.onnx"
    workload = _workload(path)
    session = _session(path)
    assert set(workload.batched_inputs) == {facts.name for facts in workload.model.inputs}
    for tensors in make_inputs(workload, batch):
        outputs = session.run(None, tensors)
        for facts, output in zip(workload.model.outputs, outputs, strict=True):
            assert (output.dtype.name, output.shape[0]) == (facts.dtype, batch)
            assert np.isfinite(output).all()
            assert facts.dtype != "float32" or 0.1 < np.std(output) < 10


@pytest.mark.parametrize("name", models.NAMES)
def test_each_sample_has_its_own_answer_whatever_batch_it_is_in(folder: Path, name: str) -> None:
    path = folder / f"{name}.onnx"
    session = _session(path)
    tensors = make_inputs(_workload(path), 4)[0]
    together = session.run(None, tensors)[0]
    alone = [session.run(None, {key: value[[i]] for key, value in tensors.items()})[0][0] for i in range(4)]
    np.testing.assert_allclose(together, np.stack(alone), rtol=1e-3, atol=1e-4)
    assert len({answer.tobytes() for answer in alone}) == 4


def test_the_transformer_ignores_masked_tokens(folder: Path) -> None:
    path = folder / "transformer.onnx"
    session = _session(path)
    ids = make_inputs(_workload(path, sequence=6), 1)[0]["input_ids"]
    other = np.concatenate([ids[:, :4], (ids[:, 4:] + 1) % models.VOCABULARY], axis=1)
    mask = np.array([[1, 1, 1, 1, 0, 0]], np.int64)
    first, second = (
        session.run(None, {"input_ids": tokens, "attention_mask": mask})[0] for tokens in (ids, other)
    )
    np.testing.assert_allclose(first, second, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", models.NAMES)
def test_making_a_model_twice_gives_the_same_bytes(folder: Path, name: str, tmp_path: Path) -> None:
    assert models.save(name, tmp_path).read_bytes() == (folder / f"{name}.onnx").read_bytes()


def test_the_types_are_those_that_backends_find_hard(folder: Path) -> None:
    mixed = read_model(folder / "mixed_types.onnx")
    assert [facts.dtype for facts in mixed.inputs] == ["float32", "int32", "bool"]
    assert [facts.dtype for facts in mixed.outputs] == ["float32", "int64", "bool"]
    transformer = read_model(folder / "transformer.onnx")
    assert [(facts.dtype, facts.shape) for facts in transformer.inputs] == [
        ("int64", ("batch", "sequence")),
        ("int64", ("batch", "sequence")),
    ]
    assert transformer.index_limits == {"input_ids": models.VOCABULARY}


def test_the_script_writes_the_models_named_and_prints_their_sizes(tmp_path: Path) -> None:
    script = Path(models.__file__)
    command = [sys.executable, str(script), str(tmp_path / "made"), "mlp", "mixed_types"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == ["mixed_types.onnx", "mlp.onnx"]
    assert [line.split()[-1] for line in said] == ["KiB", "KiB"]
    assert str(tmp_path / "made" / "mlp.onnx") in said[0]


def test_the_script_refuses_a_name_it_does_not_know(tmp_path: Path) -> None:
    command = [sys.executable, models.__file__, str(tmp_path), "resnet"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert "no model is named resnet" in run.stderr
