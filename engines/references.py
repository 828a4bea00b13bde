"""Reference outputs kept from one worker to the next: they can take longer than everything else."""

import io
import zipfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

from engines.values import Tensors, Workload
from engines.wire import digest
from engines.workspace import write_file

# beyond this the disk is no quicker than the model
MOST_BYTES = 256 << 20
# what reading a file raises that somebody cut short or wrote over: numpy's and zipfile's, and then our own
_SPOILED = (
    OSError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    RuntimeError,  # NotImplementedError too
    zipfile.BadZipFile,
    zlib.error,
)


def reference_file(folder: Path, workload: Workload, batch: int, makers: Mapping[str, str]) -> Path:
    """Where the outputs of a batch are kept; `makers` are names and versions of what computes them."""
    source = workload.inputs.digest or workload.inputs.seed
    optimum = {name: shapes.optimum for name, shapes in workload.shapes.items()}
    key = digest(workload.model.digest, optimum, workload.batched_inputs, batch, source, makers)
    return folder / f"reference-{key}.npz"


def load(file: Path) -> list[Tensors] | None:
    """The outputs of each batch of inputs; None where the file is not there or is spoiled."""
    try:
        with np.load(io.BytesIO(file.read_bytes()), allow_pickle=False) as stored:
            return _batches(dict(stored))
    except _SPOILED:
        return None


def _batches(found: Tensors) -> list[Tensors] | None:
    count = int(found.pop("count"))
    if not 0 < count <= len(found):
        return None
    batches: list[Tensors] = [{} for _ in range(count)]
    for name, values in found.items():
        number, _, output = name.partition(":")
        batches[int(number)][output] = values
    return batches


def save(file: Path, batches: list[Tensors]) -> None:
    """Keeps the outputs, unless they are large, of a type that the format does not know, or there is no room
    for them.
    """
    tensors = [values for outputs in batches for values in outputs.values()]
    if sum(values.nbytes for values in tensors) > MOST_BYTES or any(
        values.dtype.kind not in "fiub" for values in tensors
    ):
        return
    named = {
        f"{number}:{name}": values
        for number, outputs in enumerate(batches)
        for name, values in outputs.items()
    }
    content = io.BytesIO()
    np.savez(content, count=np.array(len(batches)), **named)  # type: ignore[arg-type]
    # a trial that has no room either says so by itself
    with suppress(OSError):
        write_file(file, content.getvalue())
