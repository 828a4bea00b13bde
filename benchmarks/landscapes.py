"""Records the landscapes of real networks on a GPU: `python -m benchmarks.landscapes FOLDER`.

Exports what `benchmarks.models` has (PyTorch and torchvision needed for that) and records each for latency at
batch 1 and 8 and for throughput, each within a time limit; running it again goes on where that was too short.
Those that share a GPU measure in turn, and load engines at the same time; some build and calibrate meanwhile:

    python -m benchmarks.landscapes DIR --device 0 --aim b1 --aim b8 --at-once 8 &
    python -m benchmarks.landscapes DIR --device 1 --aim throughput --at-once 4 &

Engines of several streams take longest to load, and who wants to measure waits for the loads of the others:
those for throughput are better recorded apart from those for latency.
"""

import argparse
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
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
# of the spaces of TensorRT-RTX so much that several hundred candidates are a good part of it, the rest at
# its default: ranking the nodes of a network to keep some in FP32 takes minutes, and so does calibrating BERT
FIXED = ("simplify=none", "calibration=minmax", "keep_fp32=0")
LATENCY: Mapping[str, tuple[str, ...]] = {
    "resnet50": ("high_precision=fp16", "max_aux_streams=-1,0,2", "workspace_mib=0,256"),
    "bert": (
        *("precision=tf32,fp32,fp16,bf16,int8", "high_precision=fp32"),
        *("max_aux_streams=-1,0,1,2,4", "workspace_mib=0"),
    ),
}
# their fp8 takes its worker down with TensorRT-RTX 1.6 on this GPU, after ten seconds each
OTHERS = ("precision=tf32,fp32,fp16,bf16", "max_aux_streams=-1,0,2", "workspace_mib=0,256")
THROUGHPUT = (
    *("max_aux_streams=-1", "profile=wide,static", "kernel_specialization=eager"),
    *("batch=1,4,8,16,32,64", "streams=1,2,4,8"),
)
LOADED: Mapping[str, tuple[str, ...]] = {
    "bert": ("precision=tf32,fp16,bf16,int8", "high_precision=fp32", "workspace_mib=0"),
}
OTHERS_LOADED = ("precision=tf32,fp16,bf16", "workspace_mib=0,256")


@dataclass(frozen=True)
class Recording:
    """One landscape to be recorded: its name, and what `tuner record` is given."""

    name: str
    model: Path
    shapes: str
    objective: str
    constraint: str
    fixed: tuple[str, ...]


def recordings(folder: Path, networks: Sequence[str], aims: Sequence[str]) -> Iterator[Recording]:
    """Those of the networks and aims named, or of all."""
    for network in networks or models.NAMES:
        model = folder / "models" / f"{network}.onnx"
        for aim in aims or AIMS:
            batch, objective = AIMS[aim]
            shapes = f"input:{batch}x{SHAPES.get(network, IMAGE)}"
            limit, fixed = LIMITS.get(network, LIMIT), space_of(network, objective)
            yield Recording(f"{network}-{aim}", model, shapes, objective, limit, fixed)


def space_of(network: str, objective: str) -> tuple[str, ...]:
    """What is fixed of its space, as NAME=VALUE,VALUE."""
    if objective == "throughput":
        return (*FIXED, *THROUGHPUT, *LOADED.get(network, OTHERS_LOADED))
    return (*FIXED, *LATENCY.get(network, OTHERS))


def command_of(one: Recording, folder: Path, arguments: argparse.Namespace) -> list[str]:
    """The command that records it, in a workspace of its own: others may run beside it."""
    return [
        *("record", str(one.model), "--backend", arguments.backend, "--shapes", one.shapes),
        *("--objective", one.objective, "--constraint", one.constraint),
        *("--candidates", str(arguments.candidates), "--passes", str(arguments.passes)),
        *("--warm-up", arguments.warm_up, "--duration", arguments.duration, "--self-test", "0"),
        *("--timeout", arguments.limit, "--study", one.name),
        *(["--together"] if arguments.at_once > 1 else []),
        *("--workspace", str(workspace_of(one, folder))),
        *("--output", str(folder / f"{one.name}{arguments.suffix}.json.gz")),
        *(item for fixed in (*one.fixed, *arguments.fix) for item in ("--fix", fixed)),
    ]


def workspace_of(one: Recording, folder: Path) -> Path:
    return folder / "workspaces" / one.name


def record(one: Recording, folder: Path, arguments: argparse.Namespace) -> bool:
    """Records one landscape; whether that went well."""
    command = command_of(one, folder, arguments)
    print(f"$ tuner {shlex.join(command)}", flush=True)
    if arguments.dry_run:
        return True
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": str(arguments.device)}
    done = subprocess.run([*tuner(), *command], env=environment, check=False).returncode == 0
    if done and arguments.delete_workspaces:
        shutil.rmtree(workspace_of(one, folder))
    return done


def main() -> None:
    """Records some at a time; exits with 1 when one of them failed."""
    arguments = _arguments()
    chosen = list(recordings(arguments.folder, arguments.only, arguments.aim))
    for one in chosen:
        if not one.model.exists() and not arguments.dry_run:
            models.export(one.model.stem, one.model.parent)
    with ThreadPoolExecutor(arguments.at_once) as pool:
        done = list(pool.map(lambda one: record(one, arguments.folder, arguments), chosen))
    sys.exit(0 if all(done) else 1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", action="append", default=[], choices=models.NAMES, help="may be repeated")
    parser.add_argument("--aim", action="append", default=[], choices=AIMS, help="may be repeated")
    parser.add_argument("--device", type=int, default=0, help="number of the GPU")
    parser.add_argument("--at-once", type=int, default=1, help="recordings that take turns on it")
    parser.add_argument("--backend", default="tensorrt-rtx")
    parser.add_argument("--candidates", type=int, default=1500, help="of each space at most")
    parser.add_argument("--passes", type=int, default=7)
    parser.add_argument("--warm-up", default="100ms")
    parser.add_argument("--duration", default="250ms", help="of one measurement")
    parser.add_argument("--limit", default="20m", help="time of each landscape")
    parser.add_argument("--suffix", default="-h200", help="what the files' names end with")
    parser.add_argument("--fix", action="append", default=[], metavar="NAME=VALUE", help="may be repeated")
    parser.add_argument("--delete-workspaces", action="store_true", help="each once its landscape is there")
    parser.add_argument("--dry-run", action="store_true", help="print the commands; run nothing")
    return parser.parse_args()


if __name__ == "__main__":
    main()
