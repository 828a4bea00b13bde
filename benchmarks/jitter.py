"""How many measurements of studies look as if something else used the GPU meanwhile.

    python -m benchmarks.jitter STORAGE... [--output FILE]

A storage is a studies.db or the URL of a database. It prints of each study how many measurements tell how
evenly inferences took, and how many are uneven (see `engines.jitter`), with a CUDA graph and without.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.runs import heading
from engines.jitter import UNEVEN, jitter
from engines.results import Evaluation
from studies.records import StudyRecord
from studies.storage import open_storage


@dataclass(frozen=True)
class Found:
    """The jitter of one measurement."""

    jitter: float
    has_graph: bool


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(prog="benchmarks.jitter", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("storages", metavar="STORAGE", nargs="+")
    parser.add_argument("--output", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    lines = [heading(), *_lines(arguments.storages)]
    print("\n".join(lines))
    if arguments.output:
        arguments.output.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _lines(storages: Sequence[str]) -> Iterator[str]:
    yield f"uneven: beyond {UNEVEN}; one stream only"
    yield f"{'study':<32} {'median':>7} {'with a CUDA graph':>24} {'without':>24}"
    everything: list[Found] = []
    for location in storages:
        with open_storage(location) as storage:
            for name in storage.study_names():
                found = list(_found(storage.read_study(name)))
                everything += found
                yield _line(name, found)
    yield _line("all", everything)


def _found(study: StudyRecord) -> Iterator[Found]:
    trials = [one.evaluation for one in study.trials if not one.reused]
    for evaluation in (*trials, *(one.evaluation for one in study.repeats)):
        value = _jitter(evaluation)
        if value is not None:
            yield Found(value, bool(evaluation.candidate.run.get("cuda_graph")))


def _jitter(evaluation: Evaluation) -> float | None:
    measurement = evaluation.measurement
    return jitter(measurement.blocks) if measurement is not None and measurement.streams == 1 else None


def _line(name: str, found: Sequence[Found]) -> str:
    middle = f"{np.median([one.jitter for one in found]):.3f}" if found else "-"
    with_graph, without = (_share([one for one in found if one.has_graph is kind]) for kind in (True, False))
    return f"{name:<32} {middle:>7} {with_graph:>24} {without:>24}"


def _share(found: Sequence[Found]) -> str:
    uneven = sum(one.jitter > UNEVEN for one in found)
    return f"{uneven:,} of {len(found):,} uneven" if found else "none"


if __name__ == "__main__":
    main()
