import numpy as np
import onnx
import pytest
from onnx import helper

from engines.core.errors import EngineError
from engines.models import onnx_files
from engines.models.onnx_files import raised
from tests.engines.graphs.running import error_of, example, run, small_model


def _old() -> onnx.ModelProto:
    """ReduceMean names its axes in an attribute up to opset 17, and in an input from 18 on."""
    node = helper.make_node("ReduceMean", ["x"], ["y"], axes=[1], keepdims=1)
    return small_model([node], {}, shape=[2, 4], opset=11)


def test_nodes_follow_and_compute_the_same() -> None:
    feeds = {"x": np.arange(8, dtype=np.float32).reshape(2, 4)}
    new = raised(_old(), 21)
    assert (new.opset_import[0].version, new.ir_version) == (21, 10)
    onnx.checker.check_model(new, full_check=True)
    np.testing.assert_array_equal(run(new, feeds), run(_old(), feeds))


def test_large_weights_are_kept_though_the_converter_does_not_see_them() -> None:
    new = raised(example("mlp"), 21)
    assert error_of(new, "mlp") == 0.0
    assert set(onnx_files.constants(new.graph)) == set(onnx_files.constants(example("mlp").graph))


def test_a_model_that_is_newer_is_only_copied() -> None:
    assert raised(example("mlp"), 13) == example("mlp")


def test_what_cannot_follow_is_refused_in_one_line() -> None:
    model = _old()
    model.graph.node[0].op_type = "NoSuchOperator"
    with pytest.raises(EngineError, match=r"cannot be raised from opset 11 to 19: [^\n]+$"):
        raised(model, 19)
