"""Which way of searching finds the best engine soonest, on landscapes that were recorded.

    python -m benchmarks.search [LANDSCAPE...] [--seeds 100] [--trials 50] [--strategies tpe,ours] [--jobs 2]

A landscape is a file that `tuner record` wrote; without any, all of benchmarks/landscapes. Searches run in
process on a simulated clock: what was recorded is drawn from anew, and nothing is measured.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.runs import heading
from benchmarks.search.contest import Contest, Result
from benchmarks.search.made_up import made_up
from benchmarks.search.recorded import recorded_world
from benchmarks.search.searches import Until
from benchmarks.search.strategies import PARETO, SINGLE, STRATEGIES, missing
from benchmarks.search.tables import all_figures, lines_of, stops_of
from benchmarks.search.world import World
from studies.core.records import Objective
from studies.search.observations import Earlier

LANDSCAPES = Path(__file__).parents[1] / "landscapes"
LATENCY, ERROR = Objective("latency_ms", "minimize"), Objective("error", "minimize")
MODELS, SHAPES = EARLIER = ("models", "shapes")


def main() -> None:
    """Prints the figures."""
    arguments = _parser().parse_args()
    names = _strategies(arguments)
    worlds = _worlds(arguments)
    if not worlds:
        sys.exit("there is no landscape; name one that tuner record wrote, or add --made-up 3")
    lines = [heading()]
    print(lines[0], flush=True)
    earlier = [_earlier(world, worlds, arguments.earlier) for world in worlds]
    until = Until(arguments.trials, min_gain=arguments.min_gain)
    results = Contest(worlds, earlier, arguments.jobs).run(names, arguments.seeds, until)
    for line in lines_of(results, arguments.trials, arguments.min_gain):
        print(line)
        lines.append(line)
    if arguments.output:
        arguments.output.write_text("\n".join(lines) + "\n", encoding="utf-8")
    if arguments.json:
        arguments.json.write_text(_document(results, arguments), encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks.search", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("landscapes", metavar="LANDSCAPE", nargs="*", type=Path)
    parser.add_argument("--made-up", type=int, default=0, metavar="N", help="so many made-up landscapes too")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--strategies", default="", help=f"of {', '.join(STRATEGIES)}")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--pareto", action="store_true", help="for latency (or throughput) and error at once")
    parser.add_argument(
        "--earlier",
        choices=EARLIER,
        help="begin with studies of the other models, or of the model at other shapes",
    )
    parser.add_argument("--min-gain", type=float, default=0.01)
    parser.add_argument("--output", type=Path, metavar="FILE")
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser


def _strategies(arguments: argparse.Namespace) -> list[str]:
    """Those asked for, else all that can be had."""
    asked = [name for name in arguments.strategies.split(",") if name]
    for name in asked:
        if name not in STRATEGIES:
            sys.exit(f"there is no strategy {name!r}; known: {', '.join(STRATEGIES)}")
    names = asked or list(PARETO if arguments.pareto else SINGLE)
    names += ["ours-earlier"] if arguments.earlier else []
    for name in names:
        if missing(name):
            print(f"left out: {name}, which needs {missing(name)}", file=sys.stderr)
    return [name for name in dict.fromkeys(names) if not missing(name)]


def _worlds(arguments: argparse.Namespace) -> list[World]:
    beside = (ERROR,) if arguments.pareto else ()
    files: Sequence[Path] = arguments.landscapes
    if not files and not arguments.made_up:
        files = sorted(LANDSCAPES.glob("*.json.gz"))
    recorded = [recorded_world(path, beside) for path in files]
    return [*recorded, *(made_up(seed, (LATENCY, *beside)) for seed in range(arguments.made_up))]


def _earlier(world: World, worlds: Sequence[World], kind: str | None) -> Sequence[Earlier]:
    if kind is None:
        return ()
    from benchmarks.search.earlier import earlier_of

    return earlier_of(world, worlds, of_the_same_model=kind == SHAPES)


def _document(results: Sequence[Result], arguments: argparse.Namespace) -> str:
    figures = [asdict(one) for some in all_figures(results, arguments.trials) for one in some]
    stops = [asdict(one) for one in stops_of(results, arguments.trials)]
    return json.dumps({"heading": heading().splitlines(), "figures": figures, "stopping": stops}, indent=1)


if __name__ == "__main__":
    main()
