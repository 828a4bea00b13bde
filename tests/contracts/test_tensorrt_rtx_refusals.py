"""What the parser and the builder of TensorRT-RTX refuse, and the reasons that are given."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from engines.artifacts.workspace import Workspace
from engines.backends.registry import Backend
from engines.backends.tensorrt.build.network import MOST_NODES
from engines.backends.tensorrt.run.load import ENGINE
from engines.core.errors import EngineError
from engines.core.values import Settings, ShapeRange, Workload
from engines.shapes.plan import single_plan
from tests.contracts.rtx_builds import EXAMPLES, build
from tests.workloads import QUICK, example, workload_of

pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("workspace_mib", -1, "the builder refused workspace_mib=-1"),
        ("workspace_mib", 10**30, f"the builder refused workspace_mib={10**30}"),
        ("max_aux_streams", -5, "the builder refused max_aux_streams=-5"),
        ("max_aux_streams", 10**12, f"the builder refused max_aux_streams={10**12}"),
    ],
)
def test_a_number_that_the_builder_does_not_take_is_refused(
    backend: Backend, workspace: Workspace, mlp: Workload, name: str, value: int, message: str
) -> None:
    with pytest.raises(EngineError) as caught:
        build(backend, mlp, workspace, **{name: value})
    assert caught.value.message == message


def test_too_small_a_workspace_is_refused_with_the_librarys_reason(
    backend: Backend, workspace: Workspace, tmp_path: Path
) -> None:
    workload = example("residual_cnn", tmp_path, **EXAMPLES["residual_cnn"])
    with pytest.raises(EngineError, match="no tactics to implement the operation within workspace limit"):
        build(backend, workload, workspace, workspace_mib=1)
    assert list(workspace.engines.iterdir()) == []


def test_a_profile_in_disorder_is_refused(backend: Backend, workspace: Workspace, mlp: Workload) -> None:
    broken = replace(mlp, plan=single_plan({"features": ShapeRange((4, 64), (2, 64), (8, 64))}, 2))
    message = "the builder refused the optimization profile: .*features.* MIN<=OPT<=MAX"
    with pytest.raises(EngineError, match=message) as caught:
        build(backend, broken, workspace, profile="given")
    assert "\n" not in caught.value.message


def test_every_unsupported_node_is_named_with_its_operator(
    backend: Backend, workspace: Workspace, tmp_path: Path
) -> None:
    nodes = [
        helper.make_node("Det", ["x"], ["a"], name="det_1"),
        helper.make_node("Frobnicate", ["a"], ["b"], name="frob_2", domain="com.acme"),
        helper.make_node("Relu", ["b"], ["c"], name="fine"),
        helper.make_node("Twist", ["c"], ["y"], domain="com.acme"),
    ]
    with pytest.raises(EngineError) as caught:
        build(backend, _model(tmp_path, nodes), workspace)
    reason = "(Op type {} is not supported in TensorRT-RTX)".format
    assert caught.value.message == (
        "the parser refused Det 'det_1' (not supported); "
        f"Frobnicate 'frob_2' {reason('Frobnicate')}; Twist (node 3) {reason('Twist')}"
    )


def test_a_long_list_of_unsupported_nodes_is_counted(
    backend: Backend, workspace: Workspace, tmp_path: Path
) -> None:
    names = ["x", *(f"v{place}" for place in range(MOST_NODES + 2)), "y"]
    nodes = [helper.make_node("Det", [one], [other], name=f"det_{one}") for one, other in pairwise(names)]
    with pytest.raises(EngineError, match=r"; and 3 more$") as caught:
        build(backend, _model(tmp_path, nodes), workspace)
    assert caught.value.message.count("'det_") == MOST_NODES


def test_a_plan_that_is_none_is_refused(backend: Backend, mlp: Workload, tmp_path: Path) -> None:
    (tmp_path / ENGINE).write_bytes(b"no plan" * 1000)
    with pytest.raises(EngineError, match="deserializeCudaEngine"):
        backend.open(tmp_path, mlp, Settings(), {"features": np.zeros((2, 64), np.float32)}, QUICK)


def _model(folder: Path, nodes: list[onnx.NodeProto]) -> Workload:
    """A model of nodes from `x` to `y` that ONNX's own checker would not take."""
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 4, 4]) for name in "xy")
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.acme", 1)]
    model = helper.make_model(helper.make_graph(nodes, "g", [x], [y]), opset_imports=opsets, ir_version=8)
    path = folder / "unsupported.onnx"
    onnx.save(model, path)
    return workload_of(path, x=(2, 4, 4))
