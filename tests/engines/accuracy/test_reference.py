from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from engines.accuracy import reference
from engines.core.errors import UserError
from engines.core.values import Tensors, Workload
from engines.data.inputs import make_inputs
from tests.workloads import tiny_conv, workload_of


def _model(folder: Path, node: onnx.NodeProto, *, opset: int = 17, ir_version: int = 8) -> Workload:
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in "xy"]
    graph = helper.make_graph([node], "g", value[:1], value[1:])
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("acme", 1)]
    path = folder / "model.onnx"
    onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=ir_version), path)
    return workload_of(path)


def test_the_reference_is_the_models_own_output(tmp_path: Path) -> None:
    workload = _model(tmp_path, helper.make_node("Abs", ["x"], ["y"]))
    batches = make_inputs(workload, 4)
    for batch, outputs in zip(batches, reference.run(workload, batches), strict=True):
        assert np.array_equal(outputs["y"], np.abs(batch["x"]))


@pytest.mark.parametrize(
    ("node", "versions", "message"),
    [
        (helper.make_node("Sing", ["x"], ["y"], domain="acme"), {}, "no operator 'acme:Sing'"),
        (helper.make_node("Gelu", ["x"], ["y"]), {}, "no operator 'Gelu' in opset 17"),
        (helper.make_node("Abs", ["x"], ["y"]), {"ir_version": 99}, "IR version 99 is newer"),
    ],
)
def test_a_model_that_cannot_be_loaded_is_explained(
    tmp_path: Path, node: onnx.NodeProto, versions: dict[str, int], message: str
) -> None:
    workload = _model(tmp_path, node, **versions)
    with pytest.raises(UserError, match=message) as caught:
        reference.run(workload, make_inputs(workload, 4))
    assert caught.value.hint


def test_a_model_whose_outputs_are_never_finite_has_no_right_answer(tmp_path: Path) -> None:
    workload = _model(tmp_path, helper.make_node("Log", ["x"], ["y"]))
    negative: list[Tensors] = [{"x": -np.ones(4, dtype=np.float32)}]
    with pytest.raises(UserError, match="every value of output 'y' is NaN"):
        reference.run(workload, negative)


def test_inputs_that_do_not_fit_are_explained(tmp_path: Path) -> None:
    workload = workload_of(tiny_conv(tmp_path))
    with pytest.raises(UserError, match="cannot run the model on these inputs"):
        reference.run(workload, [{"x": np.zeros((1, 4, 12, 12), dtype=np.float32)}])
