"""A stand-in for the other Python, which has NVIDIA ModelOpt, and data to give it."""

import stat
import sys
import textwrap
from pathlib import Path

import numpy as np
import onnx

from engines.core.values import Tensors
from engines.graphs.passes.modelopt import Environment

# writes down what it was asked, then does as the test says
STAND_IN = """\
#!{python}
import json, os, sys, time
from pathlib import Path
if sys.argv[1] == "-c":
    print("0.47.0")
    sys.exit()
folder = Path({folder!r})
calls = sorted(folder.glob("call-*.json"))
asked = {{"arguments": sys.argv[1:], "path": os.environ.get("PYTHONPATH"), "temporary": os.environ["TMPDIR"]}}
if "--calibration_data_path" in sys.argv:
    import numpy
    data = numpy.load(sys.argv[sys.argv.index("--calibration_data_path") + 1])
    asked["data"] = {{name: list(data[name].shape) for name in data.files}}
(folder / f"call-{{len(calls)}}.json").write_text(json.dumps(asked))
made = sys.argv[sys.argv.index("--output_path") + 1]
{does}
"""
WRITES = "Path(made).write_bytes((folder / 'answer.onnx').read_bytes())"


def other_python(folder: Path, does: str, answer: onnx.ModelProto | None = None) -> Environment:
    if answer is not None:
        onnx.save(answer, folder / "answer.onnx")
    python = folder / "python"
    python.write_text(STAND_IN.format(python=sys.executable, folder=str(folder), does=textwrap.dedent(does)))
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    return Environment(str(python), "0.47.0")


def batches(count: int = 3) -> list[Tensors]:
    random = np.random.default_rng(0)
    return [{"features": random.normal(size=(4, 64)).astype(np.float32)} for _ in range(count)]
