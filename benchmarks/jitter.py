"""How many measurements of studies look as if something else used the GPU meanwhile.

    python -m benchmarks.jitter STORAGE... [--title TEXT] [--output FILE]

A storage is a studies.db or the URL of a database. Of each of its studies it prints how many measurements are
uneven (see `engines.statistics.jitter`), as a CUDA graph and launched one by one, and how many cannot tell. A
file that exists is added to.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.runs import heading
from engines.statistics.jitter import UNEVEN, is_uneven, jitter
from studies.belief.gpu_sharing import measured_in
from studies.core.records import StudyRecord
from studies.storage.storage import open_storage


@dataclass(frozen=True)
class Found:
    """One measurement: whether it is uneven, None where it cannot tell."""

    is_graph: bool
    jitter: float | None
    is_uneven: bool | None


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(prog="benchmarks.jitter", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("storages", metavar="STORAGE", nargs="+")
    parser.add_argument("--title", default="")
    parser.add_argument("--output", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    lines = [heading(), *([arguments.title] if arguments.title else []), *_lines(arguments.storages)]
    print("\n".join(lines))
    if arguments.output:
        with arguments.output.open("a", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n\n")


def _lines(storages: Sequence[str]) -> Iterator[str]:
    yield f"uneven: beyond {UNEVEN}"
    yield f"{'study':<32} {'median':>7} {'CUDA graphs':>22} {'launched one by one':>22} {'untold':>7}"
    everything: list[Found] = []
    for location in storages:
        with open_storage(location) as storage:
            for name in storage.study_names():
                found = list(_found(storage.read_study(name)))
                everything += found
                yield _line(name, found)
    yield _line("all", everything)


def _found(study: StudyRecord) -> Iterator[Found]:
    for candidate, measurement in measured_in(study.trials, study.repeats):
        blocks = measurement.blocks
        yield Found(bool(candidate.run.get("cuda_graph")), jitter(blocks), is_uneven(blocks))


def _line(name: str, found: Sequence[Found]) -> str:
    known = [one.jitter for one in found if one.jitter is not None and one.is_uneven is not None]
    middle = f"{np.median(known):.3f}" if known else "-"
    graphs, others = (_share([one for one in found if one.is_graph is kind]) for kind in (True, False))
    untold = sum(one.is_uneven is None for one in found)
    return f"{name:<32} {middle:>7} {graphs:>22} {others:>22} {untold:>7,}"


def _share(found: Sequence[Found]) -> str:
    known = [one.is_uneven for one in found if one.is_uneven is not None]
    return f"{sum(known):,} of {len(known):,} uneven" if known else "none"


if __name__ == "__main__":
    main()
