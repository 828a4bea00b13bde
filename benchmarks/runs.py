"""How benchmarks run the command, and the heading that figures need to mean anything."""

import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from engines.machine import cpu
from examples import models

PACKAGES = ("trt-tuner", "optuna", "sqlalchemy", "numpy", "click")


def heading() -> str:
    """The command, the day, the machine and the versions, a line each."""
    arguments = " ".join(sys.argv[1:])
    path = Path(sys.argv[0])
    program = path.parent.name if path.stem == "__main__" else path.stem
    memory = f"{cpu.total_memory_bytes() / 2**30:.0f} GiB"
    machine = [cpu.processor_name(), f"{cpu.available_cores()} cores", memory, cpu.system_name()]
    versions = ", ".join(f"{name} {_version(name)}" for name in PACKAGES)
    return "\n".join(
        [
            f"command   python -m benchmarks.{program} {arguments}".rstrip(),
            f"date      {date.today().isoformat()}",
            f"machine   {', '.join(machine)}",
            f"load      {os.getloadavg()[0]:.1f} processes running when it began",
            f"versions  Python {sys.version.split()[0]}, {versions}",
        ]
    )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # run from a checkout
        return "not installed"


def model(folder: Path) -> Path:
    """A small model with a dynamic batch."""
    return models.save("mlp", folder)


def tuner(*arguments: str | Path) -> list[str]:
    """The command line of `tuner` in this Python."""
    return [sys.executable, "-m", "tuner", *(str(argument) for argument in arguments)]


def run(command: Sequence[str]) -> str:
    """What the command prints; its complaint where it fails, and the end."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


def verdict(kept: bool, limit: str) -> str:
    return f"{'kept' if kept else 'MISSED'}: {limit}"
