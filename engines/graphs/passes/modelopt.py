"""Lower graphs with NVIDIA ModelOpt, in a process and, if needed, an environment of its own.

Its pins of onnx, onnxruntime and torch conflict with those of others. It uses the CPU only, because
the device must be free for measurements.
"""

import functools
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np

from engines.core.errors import EngineError, UserError
from engines.core.processes import signal_name
from engines.core.values import Tensors

VARIABLE = "TUNER_MODELOPT_PYTHON"
PACKAGE = "nvidia-modelopt"
LOOKING_SECONDS = 60.0
LONGEST_SECONDS = 1800.0

# ModelOpt's names of our methods; it has no percentile
_METHODS = {"minmax": "max", "entropy": "entropy"}
# onnx's names of the types that the graph must hold afterwards
_TYPES = {"fp16": "FLOAT16", "bf16": "BFLOAT16"}
_RAISED = re.compile(r"(\w+\.)*\w*(Error|Exception|Exit|Fail|InvalidGraph|NotImplemented)\b.*")
_ASK = f"from importlib.metadata import version; print(version('{PACKAGE}'))"


@dataclass(frozen=True)
class Environment:
    """A Python that has ModelOpt, and which."""

    python: str
    version: str


def find() -> Environment | None:
    """Return the Python that TUNER_MODELOPT_PYTHON names, else this one; None if it has no ModelOpt.

    Raises UserError when the one that was named cannot be used.
    """
    named = os.environ.get(VARIABLE, "")
    if named:
        return _look_at(named)
    try:
        return Environment(sys.executable, metadata.version(PACKAGE))
    except metadata.PackageNotFoundError:
        return None


def save_batches(batches: Iterable[Tensors], folder: Path) -> Path:
    """Write calibration data as ModelOpt reads it, a file for each batch."""
    folder.mkdir(parents=True)
    for number, batch in enumerate(batches):
        np.savez(folder / f"{number:06}.npz", **batch)  # type: ignore[arg-type]
    return folder


def autocast(
    environment: Environment,
    model: Path,
    to: str,
    keep: frozenset[str],
    calibration: Path | None,
    file: Path,
) -> None:
    """Write the model in fp16 or bf16, with FP32 inputs and outputs, and FP32 where values grow too large.

    `calibration` is a folder of `save_batches`, None for random data. Raises EngineError.
    """
    arguments = [
        "--onnx_path",
        str(model),
        "--low_precision_type",
        to,
        "--keep_io_types",
        "--providers",
        "cpu",
    ]
    if calibration is not None:
        arguments += ["--calibration_data", str(calibration)]
    with tempfile.TemporaryDirectory(dir=file.parent) as scratch:
        made = _run(environment, "modelopt.onnx.autocast", [*arguments, *_excluding(keep)], Path(scratch))
        _accept(made, file, holds_type=_TYPES[to])


def quantize(
    environment: Environment,
    model: Path,
    mode: str,
    method: str,
    keep: frozenset[str],
    calibration: Path | None,
    high_precision: str,
    file: Path,
) -> None:
    """Write the model with Q/DQ pairs, or with INT4 weights; the rest has the type `high_precision`.

    `calibration` is a folder of `save_batches`, None for random data. For int4, which has methods of its own,
    `method` says nothing. Raises EngineError.
    """
    with tempfile.TemporaryDirectory(dir=file.parent) as scratch:
        folder = Path(scratch)
        if high_precision != "fp32" and (keep or mode == "int4"):
            # what is excluded from quantization would be lowered all the same, and int4 lowers nothing else
            model = _lowered_before(environment, model, high_precision, keep, calibration, folder)
            high_precision = "fp32"
        arguments = ["--onnx_path", str(model), "--quantize_mode", mode, "--calibration_eps", "cpu"]
        arguments += ["--calibration_method", _method(mode, method, calibration)]
        arguments += ["--high_precision_dtype", high_precision]
        if model.with_name(f"{model.name}.data").exists():
            arguments.append("--use_external_data_format")
        if calibration is not None:
            arguments += _joined(calibration, folder)
        made = _run(environment, "modelopt.onnx.quantization", [*arguments, *_excluding(keep)], folder)
        _accept(made, file, holds_operator="DequantizeLinear")


@functools.cache
def _look_at(named: str) -> Environment:
    python = shutil.which(str(Path(named).expanduser()))
    if python is None:
        raise UserError(
            f"there is no Python at {named!r}, which {VARIABLE} names",
            f"Give the path of a Python that has {PACKAGE}[onnx].",
        )
    try:
        found = subprocess.run(
            [python, "-c", _ASK],
            capture_output=True,
            text=True,
            timeout=LOOKING_SECONDS,
            env=_variables(),
            check=True,
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise UserError(
            f"{named!r}, which {VARIABLE} names, has no NVIDIA ModelOpt",
            f"Install it there with pip install '{PACKAGE}[onnx]'.",
        ) from error
    return Environment(python, found.stdout.strip())


def _lowered_before(
    environment: Environment,
    model: Path,
    to: str,
    keep: frozenset[str],
    calibration: Path | None,
    folder: Path,
) -> Path:
    if to != "fp16":
        raise EngineError(
            f"NVIDIA ModelOpt cannot calibrate a graph in {to}, as ONNX Runtime's CPU does not run it",
            "Use fp16 or fp32 for what is not quantized.",
        )
    lowered = folder / "lowered.onnx"
    autocast(environment, model, to, keep, calibration, lowered)
    return lowered


def _method(mode: str, method: str, calibration: Path | None) -> str:
    if mode == "int4":
        return "rtn_dq" if calibration is None else "awq_clip"
    if method not in _METHODS:
        raise EngineError(f"NVIDIA ModelOpt has no calibration by {method}", f"Use {' or '.join(_METHODS)}.")
    return _METHODS[method]


def _excluding(keep: frozenset[str]) -> list[str]:
    """Return regular expressions, which match from the start of a name."""
    return ["--nodes_to_exclude", *(f"^{re.escape(name)}$" for name in sorted(keep))] if keep else []


def _joined(calibration: Path, folder: Path) -> list[str]:
    """Return all batches as the single file that its quantizer reads, and the shapes to split it into.

    Left to itself it feeds a dynamic batch one by one, and leaves out products that are of vectors then.
    """
    batches = [dict(np.load(file)) for file in sorted(calibration.glob("*.npz"))]
    if not batches:
        raise EngineError("there is no calibration data for NVIDIA ModelOpt")
    try:
        joined = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    except ValueError as error:
        raise EngineError(f"NVIDIA ModelOpt takes batches of one shape: {error}") from error
    np.savez(folder / "calibration.npz", **joined)  # type: ignore[arg-type]
    shapes = (f"{name}:{'x'.join(map(str, values.shape))}" for name, values in batches[0].items())
    return [
        "--calibration_data_path",
        str(folder / "calibration.npz"),
        "--calibration_shapes",
        ",".join(shapes),
    ]


def _run(environment: Environment, module: str, arguments: Sequence[str], folder: Path) -> Path:
    """Run ModelOpt and return the graph that it wrote.

    In the group of this process, which its owner kills as one; nothing is left of it when this one is
    interrupted.
    """
    made = folder / "made.onnx"
    command = [environment.python, "-m", module, *arguments, "--output_path", str(made)]
    try:
        code, said = _ended(command, folder)
    except subprocess.TimeoutExpired as error:
        message = f"NVIDIA ModelOpt was still not done after {LONGEST_SECONDS:.0f} s"
        raise EngineError(message, kind="timeout") from error
    except OSError as error:
        raise EngineError(f"NVIDIA ModelOpt cannot be started: {error}") from error
    if code or not made.exists():
        raise _failure(code, said)
    return made


def _ended(command: Sequence[str], folder: Path) -> tuple[int, str]:
    """Return the exit code and all output."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        cwd=folder,  # -m would import what lies in the current folder
        env={**_variables(), "TMPDIR": str(folder)},
    ) as process:
        try:
            said, _ = process.communicate(timeout=LONGEST_SECONDS)
        except BaseException:
            process.kill()
            process.wait()
            raise
    return process.returncode, said


def _variables() -> dict[str, str]:
    """Return the environment without the worker's PYTHONPATH, which another Python must not use."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}


def _failure(code: int, said: str) -> EngineError:
    if code == -signal.SIGKILL:
        return EngineError("NVIDIA ModelOpt was killed, most likely for lack of memory", kind="out_of_memory")
    if code < 0:
        return EngineError(f"NVIDIA ModelOpt died of {signal_name(-code)}", kind="crashed")
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    raised = [line for line in lines if _RAISED.fullmatch(line)]
    last = (raised or lines or ["it does not say why"])[-1]
    return EngineError(f"NVIDIA ModelOpt failed: {last}")


def _accept(made: Path, file: Path, *, holds_type: str = "", holds_operator: str = "") -> None:
    """Write the graph in the usual format, unless nothing was lowered, which ModelOpt calls a success."""
    import onnx

    from engines.models import onnx_files

    model = onnx_files.load(made)
    nodes = model.graph.node
    wanted = onnx.TensorProto.DataType.Value(holds_type) if holds_type else None
    casts = {attribute.i for node in nodes for attribute in node.attribute if node.op_type == "Cast"}
    if wanted not in {None, *casts, *(tensor.data_type for tensor in model.graph.initializer)}:
        raise EngineError("NVIDIA ModelOpt lowered nothing in this model")
    if holds_operator and holds_operator not in {node.op_type for node in nodes}:
        raise EngineError("NVIDIA ModelOpt quantized nothing in this model")
    onnx_files.save(model, file)
