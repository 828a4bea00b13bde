import math
import signal
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from engines.core.results import NodeError
from engines.core.values import Workload
from engines.graphs.passes.half_precision import lower
from examples import models
from tests.command import Command, start
from tests.troublesome import children_of, is_running, wait_until
from tests.workloads import example
from tuner.output.sensitivity import advice, squared_shares
from tuner.workflows.sensitivity import Ranked


@pytest.fixture
def mlp(tmp_path: Path) -> Path:
    return models.save("mlp", tmp_path)


@pytest.fixture(scope="module")
def workload(tmp_path_factory: pytest.TempPathFactory) -> Workload:
    return example("mlp", tmp_path_factory.mktemp("workload"))


def test_nodes_are_listed_the_most_hurtful_first(command: Command, mlp: Path) -> None:
    ended = command("sensitivity", mlp, "--shapes", "features:4x64")
    assert ended.code == 0
    table, _, said = ended.out.partition("\n\n")
    head, *rows = (line.split() for line in table.splitlines())
    assert head == ["rank", "node", "operator", "error", "alone", "share"]
    assert [row[0] for row in rows] == ["1", "2", "3"]
    assert {row[1] for row in rows} == {"Gemm_0", "Gemm_2", "Gemm_4"}
    errors = [float(row[3]) for row in rows]
    assert errors == sorted(errors, reverse=True)
    assert said == f"Keep the first in FP32: tuner search {mlp} --precision int8 --keep-fp32 {rows[0][1]}\n"


def test_the_layer_that_overflows_is_named_in_the_command_to_use(command: Command, tmp_path: Path) -> None:
    ended = command("sensitivity", models.save("overflow", tmp_path), "--precision", "fp16", "--top", 3)
    assert ended.code == 0
    assert "1     MatMul_11  MatMul    NaN or infinite" in ended.out
    assert "--top 14 shows all" in ended.out
    assert ended.out.endswith("--precision fp16 --keep-fp32 MatMul_11 --keep-fp32 MatMul_14\n")


@pytest.mark.parametrize("precision", ["fp16", "bf16", "int8", "fp8", "int4"])
def test_every_precision_has_a_document(command: Command, mlp: Path, precision: str) -> None:
    ended = command("sensitivity", mlp, "--precision", precision, "--top", 1, "--json", "-q")
    assert (ended.code, ended.err) == (0, "")
    document = ended.document
    assert (document["schema"], document["precision"]) == (1, precision)
    nodes = document["nodes"]
    assert [one["rank"] for one in nodes] == list(range(1, len(nodes) + 1)), "all of them"
    assert len(nodes) >= 3
    assert all(one["finite"] and one["error"] > 0 for one in nodes)


def test_an_error_that_is_not_finite_is_none_in_the_document(command: Command, tmp_path: Path) -> None:
    path = models.save("overflow", tmp_path)
    first, *_, last = command("sensitivity", path, "--precision", "fp16", "--json").document["nodes"]
    assert (first["error"], first["finite"]) == (None, False)
    assert (last["error"] > 0, last["finite"]) == (True, True)


def test_note_on_random_data_only_without_real_data(command: Command, mlp: Path, tmp_path: Path) -> None:
    assert "those of random inputs" in command("sensitivity", mlp).err
    np.savez(tmp_path / "data.npz", features=np.ones((8, 64), np.float32))
    for option in ("--inputs", "--calibration"):
        assert "random" not in command("sensitivity", mlp, option, tmp_path / "data.npz").err


def test_the_errors_are_those_of_the_data_given(command: Command, mlp: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", features=np.full((2, 64), 7, np.float32))
    random = command("sensitivity", mlp, "--json").document["nodes"]
    given = command("sensitivity", mlp, "--json", "--calibration", tmp_path / "data.npz").document["nodes"]
    assert [one["error"] for one in random] != [one["error"] for one in given]


def test_the_chart_is_written_where_it_is_asked_for_and_nothing_else_is_left(
    command: Command, mlp: Path, tmp_path: Path
) -> None:
    ended = command("sensitivity", mlp, "--output", "chart.html")
    assert "the chart is in chart.html" in ended.err
    assert "Gemm_0" in (tmp_path / "chart.html").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["chart.html", "mlp.onnx"]


def test_a_model_that_arrived_lowered_is_refused(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "half.onnx"
    onnx.save(lower(models.mlp(), "fp16", frozenset()), path)
    assert command("sensitivity", path, "-q").complaint == (
        "the model is fp16 already, so nothing of it is lowered. Give the model in FP32."
    )


def test_a_model_with_nothing_to_lower_is_refused(command: Command, tmp_path: Path) -> None:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "relu", [x], [y])
    path = tmp_path / "relu.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    for precision in ("int8", "int4"):
        complaint = command("sensitivity", path, "--precision", precision, "-q").complaint
        assert (
            complaint == f"the model has no nodes that {precision} would lower. Choose another --precision."
        )
    assert command("sensitivity", path, "--precision", "fp16").code == 0


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--top", 0], "--top must be at least 1, not 0. Leave it out."),
        (["--precision", "fp4"], "invalid value for '--precision': 'fp4' is not one of"),
        (["--inputs", "no.npz"], "no such file: 'no.npz'."),
        (["--calibration", "no_module:data"], "there is no module 'no_module'"),
        (["--shapes", "y:1x64"], "the model has no input 'y'"),
    ],
)
def test_user_mistake_is_one_line(
    command: Command, mlp: Path, arguments: list[object], complaint: str
) -> None:
    assert command("sensitivity", mlp, *arguments, "-q").complaint.startswith(complaint)


CALIBRATION = """
import os, pathlib, time

def aborts():
    os.abort()

def raises():
    raise ValueError("no data today")

def hangs():
    pathlib.Path("here").touch()
    time.sleep(600)
"""


@pytest.fixture
def task(tmp_path: Path) -> Path:
    """Functions that give no data to calibrate with."""
    (tmp_path / "task.py").write_text(CALIBRATION)
    return tmp_path


@pytest.mark.processes
@pytest.mark.usefixtures("task")
def test_a_crash_while_ranking_is_one_line(command: Command, mlp: Path) -> None:
    complaint = command("sensitivity", mlp, "--calibration", "task.py:aborts", "-q").complaint
    assert complaint.startswith("ranking the nodes took its process down: the worker died of SIGABRT")


@pytest.mark.usefixtures("task")
def test_a_function_that_raises_is_one_line(command: Command, mlp: Path) -> None:
    complaint = command("sensitivity", mlp, "--calibration", "task.py:raises", "-q").complaint
    assert "ValueError: no data today" in complaint


def test_ctrl_c_while_ranking_leaves_no_process(mlp: Path, task: Path) -> None:
    run = start("sensitivity", mlp, "--calibration", "task.py:hangs", "-q", cwd=task)
    try:
        wait_until((task / "here").exists)
        children = children_of(run.pid)
        run.send_signal(signal.SIGINT)
        assert run.communicate(timeout=30) == ("", "error: interrupted\n")
        assert run.returncode == 130
        assert children
        wait_until(lambda: not any(map(is_running, children)))
    finally:
        run.kill()
        run.communicate()


def test_missing_model_is_one_line(command: Command) -> None:
    assert command("sensitivity", "no.onnx").complaint.startswith("no such file: 'no.onnx'")


def test_a_name_is_written_as_shell_and_patterns_need_it(workload: Workload) -> None:
    said = advice(Ranked(workload, "int8", (NodeError("/block[0]/my conv", "Conv", 0.1),)))
    assert said.endswith("--keep-fp32 '/block[[]0]/my conv'")


def test_shares_are_those_of_the_squared_error() -> None:
    assert squared_shares([3.0, 4.0, 0.0]) == [0.36, 0.64, 0.0]
    assert squared_shares([0.0]) == [0.0]
    assert squared_shares([math.inf, 1.0]) == [None, None]
