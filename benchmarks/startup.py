"""The processor time of short commands: what a user waits for, and a shell at each press of the tab key."""

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from benchmarks.runs import heading, model, run, tuner, verdict

LIMIT_SECONDS = 0.25
COMPLETION = {"_TUNER_COMPLETE": "bash_complete", "COMP_WORDS": "tuner se", "COMP_CWORD": "1"}


def program() -> list[str]:
    """The installed command, or the module where it is not installed."""
    script = Path(sys.executable).with_name("tuner")
    return [str(script)] if script.exists() else tuner()


def cpu_seconds(command: Sequence[str], environment: Mapping[str, str]) -> float:
    """User and system time of the command and its children."""
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **environment}
    ) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Prints the figures; exits with 1 when the limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    runs = parser.parse_args().runs
    print(heading(), end="\n\n")
    found = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = ["--trials", "20", "--workspace", str(folder)]
        run(tuner("search", model(folder), "--backend", "fake", *made))
        commands: dict[str, tuple[list[str], Mapping[str, str]]] = {
            "tuner --help": ([*program(), "--help"], {}),
            "tuner --version": ([*program(), "--version"], {}),
            "completing 'tuner se'": (program(), COMPLETION),
            "tuner search --help": ([*program(), "search", "--help"], {}),
            "tuner show, 20 trials": ([*program(), "show", "--workspace", name], {}),
        }
        for what, (command, environment) in commands.items():
            seconds = [cpu_seconds(command, environment) for _ in range(runs)]
            found[what] = median(seconds)
            print(f"{what:22} {found[what]:.3f} s median, {max(seconds):.3f} s at most, of {runs} runs")
    kept = found["tuner --help"] <= LIMIT_SECONDS
    print(f"\n{verdict(kept, f'tuner --help takes at most {LIMIT_SECONDS} s of processor time')}")
    sys.exit(not kept)


if __name__ == "__main__":
    main()
