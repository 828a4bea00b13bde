"""Whether two checkouts search alike: the same candidates in the same order, for the same seeds.

    python -m benchmarks.same_choices OTHER_CHECKOUT [LANDSCAPE ...] [--seeds 5] [--trials 50]

Every landscape of benchmarks/landscapes is searched in both, for its objective, for its objective and the
error at once, and beginning with the studies of other models. Exits with 1 where the choices differ.
"""

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.runs import heading

HERE = Path(__file__).resolve().parent.parent
LANDSCAPES = HERE / "benchmarks" / "landscapes"
# only names that every version of the contest has had
PROGRAM = """
import json, sys
from importlib import import_module
from pathlib import Path
from benchmarks.search.__main__ import ERROR
from benchmarks.search.earlier import earlier_of
from benchmarks.search.recorded import recorded_world
from benchmarks.search.searches import Until, search
from benchmarks.search.strategies import STRATEGIES
seeds, trials, *files = sys.argv[1:]
worlds = {
    "latency": [recorded_world(Path(file), ()) for file in files],
    "pareto": [recorded_world(Path(file), (ERROR,)) for file in files],
}
found = {}
for kind, some in worlds.items():
    for world in some:
        others = earlier_of(world, some, of_the_same_model=False)
        taught = {"alone": ((), "ours"), "earlier": (others, "ours-earlier")}
        for how, (earlier, strategy) in taught.items():
            if how == "earlier" and (kind == "pareto" or not earlier):
                continue
            for seed in range(int(seeds)):
                made = search(world, strategy, STRATEGIES[strategy], seed, Until(int(trials)), earlier)
                found[f"{world.name} {kind} {how} {seed}"] = [list(made.tried), [one for one in made.left]]
json.dump(found, sys.stdout)
"""

Choices = dict[str, list[object]]


def choices(checkout: Path, seeds: int, trials: int, files: list[Path]) -> Choices:
    """What the search of a checkout tried, and what it held for left to gain, by landscape and seed."""
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(seeds), str(trials), *map(str, files)],
        cwd=checkout,
        env={**os.environ, "PYTHONPATH": str(checkout)},
        stdout=subprocess.PIPE,
        check=True,
    )
    found: Choices = json.loads(ran.stdout)
    return found


def main() -> None:
    """Prints which searches differ."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("other", type=Path, metavar="OTHER_CHECKOUT")
    parser.add_argument("landscapes", type=Path, nargs="*", metavar="LANDSCAPE")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=50)
    asked = parser.parse_args()
    files = [path.resolve() for path in asked.landscapes] or sorted(LANDSCAPES.glob("*.json.gz"))
    print(heading(), flush=True)
    with ThreadPoolExecutor(2) as pool:
        here, there = pool.map(
            lambda checkout: choices(checkout, asked.seeds, asked.trials, files),
            (HERE, asked.other.resolve()),
        )
    differ = [name for name in here.keys() | there.keys() if here.get(name) != there.get(name)]
    for name in sorted(differ):
        print(f"differs: {name}")
    print(f"{len(here) - len(differ)} of {len(here)} searches made the same choices")
    sys.exit(bool(differ))


if __name__ == "__main__":
    main()
