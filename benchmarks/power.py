"""How small a true difference between two engines is found, by single measurements and by finals.

    python -m benchmarks.power
    python -m benchmarks.power --backend tensorrt-rtx --layers 20 50 100 200

The engines are one of the fake backend with a delay and without it, on simulated machines with the noise of
a GPU and of a CPU; or chains of so many layers and one more. The slower one is the baseline. Single
measurements find the other when a study of the two would call it faster: a self-test and the baseline, then
the candidate, each measured as a trial. Finals find it when it wins them and is faster.
"""

import argparse
import math
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.chain import save_chain
from benchmarks.contests import contest, engines
from benchmarks.runs import heading
from benchmarks.subjects import (
    Subject,
    add_seconds,
    measured,
    pair,
    policy_of,
    say,
    subject,
    workspace_at,
)
from engines.artifacts.workspace import Workspace
from engines.backends.fake.machine import latency_ms
from engines.backends.registry import parse_backend
from engines.core.results import Evaluation
from engines.core.values import Policy, Settings
from examples import models
from studies.analysis.comparison import comparison
from studies.belief.measurement_plan import MeasurementPlan

Attempts = Generator[bool, None, None]

MEASUREMENT_PLAN = MeasurementPlan()
SHARE = 0.95
SHARES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05)
LAYERS = (20, 50, 100, 200)


@dataclass(frozen=True)
class Machine:
    """A simulated machine: noise within a run and between runs, and how well a run is to be known."""

    noise: float
    run_noise: float
    target: float


MACHINES = {"a GPU's": Machine(0.002, 0.001, 0.005), "a CPU's": Machine(0.02, 0.01, 0.02)}


@dataclass(frozen=True)
class Difference:
    """Two engines, of which one is slower by `true`, a share of the other's time."""

    what: str
    slower: Subject
    faster: Subject
    true: str


@dataclass(frozen=True)
class Count:
    """How often something was found in so many attempts, of which not all need have been made."""

    found: int
    made: int
    wanted: int

    @property
    def is_enough(self) -> bool:
        return self.found >= math.ceil(SHARE * self.wanted)

    def __str__(self) -> str:
        return f"{self.found} of {self.made}" if self.made else "-"


def count(attempts: Attempts, wanted: int, *, curtail: bool) -> Count:
    """The attempts that succeed; with `curtail`, no more are made once too many have failed."""
    bearable = wanted - math.ceil(SHARE * wanted)
    found = made = 0
    while made < wanted and not (curtail and made - found > bearable):
        found, made = found + next(attempts), made + 1
    return Count(found, made, wanted)


def by_singles(difference: Difference, per_self_test: int) -> Attempts:
    """Studies of two trials, without end; so many share a self-test."""
    slower, faster = difference.slower, difference.faster
    with slower.worker("-slower") as slow, faster.worker("-faster") as fast:
        measured(fast, faster.candidate)
        while True:
            runs = [measured(slow, slower.candidate) for _ in range(MEASUREMENT_PLAN.self_test_runs)]
            for _ in range(per_self_test):
                baseline, candidate = measured(slow, slower.candidate), measured(fast, faster.candidate)
                yield comparison(pair(slower.spec, runs, baseline, candidate)).verdict == "faster"


def by_finals(difference: Difference, *, keep: bool) -> Attempts:
    """Finals of the two, without end."""
    rivals = (difference.slower, difference.faster)
    known = [_measured_once(one, f"-once-{number}") for number, one in enumerate(rivals)]
    with engines(rivals, keep=keep) as open_engine:
        number = 0
        while True:
            held = contest(rivals, known, open_engine, MEASUREMENT_PLAN, number)
            yield held.winner.trial == 1 and held.winner.verdict == "faster"
            number += 1


def _measured_once(one: Subject, name: str) -> Evaluation:
    with one.worker(name) as worker:
        return measured(worker, one.candidate)


def true_difference(slower: Subject, faster: Subject, rounds: int) -> str:
    """By one long contest of interleaved blocks, with its interval."""
    rivals = (slower, faster)
    known = [_measured_once(one, f"-once-{number}") for number, one in enumerate(rivals)]
    with engines(rivals, keep=True) as open_engine:
        held = contest(rivals, known, open_engine, replace(MEASUREMENT_PLAN, rounds=rounds), seed=0)
    ratio = next(one.against_baseline for one in held.finalists if one.trial == 1)
    assert ratio is not None
    assert ratio.low is not None
    assert ratio.high is not None
    return f"{ratio.value - 1:.3%} ({ratio.low - 1:.3%} to {ratio.high - 1:.3%})"


def simulated(machine: Machine, seconds: float, workspace: Workspace) -> Iterator[Difference]:
    """The engine that the fake backend can delay, with and without a delay of each share."""
    policy = replace(policy_of(seconds), target_half_width=machine.target)
    model = models.save("mlp", workspace.caches)

    def engine(delay_ms: float) -> Subject:
        backend = f"fake:noise={machine.noise},run_noise={machine.run_noise},delay_ms={delay_ms!r}"
        return subject(model, workspace, policy, backend, fix=["max_aux_streams=4"])

    plain = engine(0.0)
    spec = Settings(plain.candidate.settings, model=plain.spec.workload.model.digest)
    for share in SHARES:
        yield Difference(f"{share:.1%}", engine(share * latency_ms(spec)), plain, f"{share:.1%}")


def chains(arguments: argparse.Namespace, policy: Policy, workspace: Workspace) -> Iterator[Difference]:
    """Chains of so many layers and one more, those that differ least first."""

    def engine(layers: int) -> Subject:
        model = save_chain(workspace.caches, layers, arguments.rows, arguments.width)
        return subject(model, workspace, policy, arguments.backend, fix=arguments.fix)

    for layers in sorted(arguments.layers, reverse=True):
        say(f"chains of {layers} and {layers + 1} layers")
        slower, faster = engine(layers + 1), engine(layers)
        yield Difference(
            f"{layers} layers", slower, faster, true_difference(slower, faster, arguments.long_rounds)
        )


def print_differences(differences: Iterator[Difference], arguments: argparse.Namespace) -> None:
    """A line for each; with --curtail, a method that finds one is not asked for greater ones."""
    methods: dict[str, Callable[[Difference], Attempts]] = {
        "single": lambda one: by_singles(one, arguments.runs_per_self_test),
        "finals": lambda one: by_finals(one, keep=arguments.keep_processes),
    }
    print(f"\n{'difference':12} {'single':>10} {'finals':>10}  true")
    smallest: dict[str, str] = {}
    for one in differences:
        counts = {}
        for method, attempts in methods.items():
            wanted = 0 if arguments.curtail and method in smallest else arguments.runs
            with closing(attempts(one)) as tries:
                counts[method] = count(tries, wanted, curtail=arguments.curtail)
            if wanted and counts[method].is_enough:
                smallest.setdefault(method, one.true)
        print(f"{one.what:12} {counts['single']!s:>10} {counts['finals']!s:>10}  {one.true}", flush=True)
        if arguments.curtail and len(smallest) == len(methods):
            break
    for method in methods:
        found = smallest.get(method, "none of these")
        print(f"smallest found in {SHARE:.0%} of {arguments.runs} by {method}: {found}")


def main() -> None:
    """Prints a table for each simulated machine, or for this one."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_seconds(parser)
    parser.add_argument("--backend", default="fake")
    parser.add_argument("--fix", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--workspace", type=Path)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--runs-per-self-test", type=int, default=1)
    parser.add_argument("--layers", type=int, nargs="+", default=LAYERS)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--long-rounds", type=int, default=20, help="of the contest for the true difference")
    parser.add_argument("--keep-processes", action="store_true", help="finals start no process a session")
    parser.add_argument("--curtail", action="store_true", help="makes no attempt that decides nothing")
    arguments = parser.parse_args()
    print(heading())
    with workspace_at(arguments.workspace) as workspace:
        if parse_backend(arguments.backend)[0] != "fake":
            print_differences(chains(arguments, policy_of(arguments.seconds), workspace), arguments)
            return
        for name, machine in MACHINES.items():
            print(f"\nsimulated, with noise like {name}: {machine.noise:.1%} within a run,", end=" ")
            print(f"{machine.run_noise:.1%} from run to run")
            print_differences(simulated(machine, arguments.seconds, workspace), arguments)


if __name__ == "__main__":
    main()
