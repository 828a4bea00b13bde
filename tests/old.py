"""Workspaces that the version before today's schema wrote: `cpu` with ONNX Runtime, `h200` with TensorRT-RTX
1.6 on an NVIDIA H200, both with finals, of the MLP that examples/ makes.

Of every timed block the first 150 inferences were kept, its span shortened to suit, and of the engines and
graphs the recommended ones; show.json is what `tuner show --json` of that version printed of what was kept.
"""

import tarfile
from pathlib import Path

from tests.paths import ROOT


def unpack(name: str, folder: Path) -> Path:
    """Unpacks a workspace as `w`, with show.json (and of cpu the model mlp.onnx), and gives the folder."""
    with tarfile.open(ROOT / "tests" / "data" / f"{name}_schema5.tar.xz") as kept:
        kept.extractall(folder, filter="data")
    return folder
