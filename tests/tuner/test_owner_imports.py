"""No command loads a vendor's library into its own process: those live in workers."""

import json
import subprocess
import sys
from typing import Any

import pytest

from examples import models
from tuner.cli import COMMANDS

VENDORS = {"onnxruntime", "onnxslim", "tensorrt", "tensorrt_rtx", "cuda", "pynvml", "torch", "modelopt"}
# each line is run after those before it, all in one process
LINES = (
    "search mlp.onnx --backend fake --trials 3 --self-test 0 --finalists 0 --study net -q",
    "search mlp.onnx --backend fake --trials 3 --self-test 0 --dry-run --study net",
    "search mlp.onnx --trials 2 --self-test 0 --finalists 0 --study cpu --override-shape features:2x64"
    " --fix precision=int8 --fix calibration=minmax --fix simplify=onnxslim --keep-fp32 Gemm_0 -q",
    "studies --json",
    "show net --json",
    "show cpu --trial 1",
    "dashboard net",
    "export net out",
    "measure out --warm-up 0 --duration 0.1",
    "compare mlp.onnx mlp.onnx -q",
    "compare cpu/trial:0 cpu/trial:1 -q",
    "sensitivity mlp.onnx --top 1 --output ranking.html",
    "bisect 1 cpu -q",
    "doctor --backend fake --runs 3",
    "record mlp.onnx --backend fake --self-test 0 --fix profile=narrow --fix builder_optimization_level=3"
    " --fix max_aux_streams=0 --fix precision=fp32 --passes 1 --output landscape.json.gz -q",
    "completion bash",
)
PROGRAM = """
import contextlib, io, json, sys
from tuner.cli import main

found = []
for line in json.loads(sys.argv[1]):
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            main(line.split())
        except SystemExit as ended:
            code = ended.code
    found.append([line, code, said.getvalue(), sorted(sys.modules)])
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """Each line with its exit code, what it said, and the modules that were loaded by then."""
    folder = tmp_path_factory.mktemp("owner")
    models.save("mlp", folder)
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(LINES)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    found: list[Any] = json.loads(ran.stdout)
    return found


def test_every_command_is_run_to_its_end(ended: list[Any]) -> None:
    assert {line.partition(" ")[0] for line in LINES} == set(COMMANDS)
    for line, code, said, _ in ended:
        assert code in (0, 3), f"{line}: {said}"


def test_no_command_loads_a_vendors_library(ended: list[Any]) -> None:
    loaded = {line: {name.partition(".")[0] for name in names} & VENDORS for line, _, _, names in ended}
    assert {line: names for line, names in loaded.items() if names} == {}
