"""Real networks with random weights and dynamic batch: `python -m benchmarks.models FOLDER NAME ...`.

Needs PyTorch and torchvision, which the project itself does not.
"""

import sys
import warnings
from pathlib import Path
from typing import Any

NAMES = ("resnet50", "mobilenet_v3_large", "efficientnet_b0")
SEED = 0


def export(name: str, folder: Path) -> Path:
    """Writes NAME.onnx: input `input` of batch x 3 x 224 x 224, output `output`."""
    import torch
    import torchvision

    torch.manual_seed(SEED)
    model = getattr(torchvision.models, name)(weights=None).eval()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.onnx"
    arguments: dict[str, Any] = {
        "input_names": ["input"],
        "output_names": ["output"],
        "dynamic_axes": {"input": {0: "batch"}, "output": {0: "batch"}},
        "opset_version": 17,
        "dynamo": False,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (torch.randn(1, 3, 224, 224),), str(path), **arguments)
    return path


def main(folder: Path, names: list[str]) -> None:
    for name in names or NAMES:
        path = export(name, folder)
        print(f"{path}: {path.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2:])
