"""Records the landscapes of real networks on a GPU: `python -m benchmarks.landscapes FOLDER`.

Exports what `benchmarks.models` has (PyTorch and torchvision needed for that) and records each for latency at
batch 1 and 8 and for throughput, each within a time limit; running it again goes on where that was too short.
Several may share a machine, each with GPUs and networks of its own:

    python -m benchmarks.landscapes DIR --device 0 --only resnet50 &
    python -m benchmarks.landscapes DIR --device 1 --only bert &
"""

import argparse
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import models
from benchmarks.runs import tuner

# lowered networks with random weights are further from FP32 than trained ones
LIMITS = {"bert": "error<=0.05"}
LIMIT = "error<=0.02"
SHAPES = {"bert": "128"}
IMAGE = "3x224x224"
AIMS = {"b1": (1, "latency_ms"), "b8": (8, "latency_ms"), "throughput": (1, "throughput")}


@dataclass(frozen=True)
class Recording:
    """One landscape to be recorded: its name, and what `tuner record` is given."""

    name: str
    model: Path
    shapes: str
    objective: str
    constraint: str


def recordings(folder: Path, only: Sequence[str]) -> Iterator[Recording]:
    """Those of the networks named, or of all."""
    for network in only or models.NAMES:
        model = folder / "models" / f"{network}.onnx"
        for aim, (batch, objective) in AIMS.items():
            shapes = f"input:{batch}x{SHAPES.get(network, IMAGE)}"
            yield Recording(f"{network}-{aim}", model, shapes, objective, LIMITS.get(network, LIMIT))


def command_of(one: Recording, folder: Path, arguments: argparse.Namespace) -> list[str]:
    """The command that records it, in a workspace of its own: others may run beside it."""
    return [
        *("record", str(one.model), "--backend", arguments.backend, "--shapes", one.shapes),
        *("--objective", one.objective, "--constraint", one.constraint),
        *("--candidates", str(arguments.candidates), "--passes", str(arguments.passes)),
        *("--timeout", arguments.limit, "--study", one.name),
        *("--workspace", str(folder / "workspaces" / one.name)),
        *("--output", str(folder / f"{one.name}{arguments.suffix}.json.gz")),
        *(item for fixed in arguments.fix for item in ("--fix", fixed)),
    ]


def record(one: Recording, folder: Path, arguments: argparse.Namespace) -> bool:
    """Records one landscape; whether that went well."""
    command = command_of(one, folder, arguments)
    print(f"$ tuner {shlex.join(command)}", flush=True)
    if arguments.dry_run:
        return True
    if not one.model.exists():
        models.export(one.model.stem, one.model.parent)
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": str(arguments.device)}
    return subprocess.run([*tuner(), *command], env=environment, check=False).returncode == 0


def main() -> None:
    """Records one after another; exits with 1 when one of them failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", action="append", default=[], choices=models.NAMES, help="may be repeated")
    parser.add_argument("--device", type=int, default=0, help="number of the GPU")
    parser.add_argument("--backend", default="tensorrt-rtx")
    parser.add_argument("--candidates", type=int, default=1500, help="of each space at most")
    parser.add_argument("--passes", type=int, default=14)
    parser.add_argument("--limit", default="20m", help="time of each landscape")
    parser.add_argument("--suffix", default="-h200", help="what the files' names end with")
    parser.add_argument("--fix", action="append", default=[], metavar="NAME=VALUE", help="may be repeated")
    parser.add_argument("--dry-run", action="store_true", help="print the commands; run nothing")
    arguments = parser.parse_args()
    done = [record(one, arguments.folder, arguments) for one in recordings(arguments.folder, arguments.only)]
    sys.exit(0 if all(done) else 1)


if __name__ == "__main__":
    main()
