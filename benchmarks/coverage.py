"""How often the 95 % interval of a short measurement holds what a long run finds.

    python -m benchmarks.coverage [MODEL --shapes input:8x3x224x224] [--backend tensorrt-rtx]

The long run is many short measurements of five blocks, one after another, of one engine that stays loaded;
its truth is their mean. Every so many of them the engine is loaded anew beside it for a self-test. The same
blocks drawn at random from the whole run show what a machine without drift would give.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.runs import heading, verdict
from benchmarks.subjects import add_options, loaded, policy_of, say, subject_of, workspace_at
from engines.core.results import Measurement
from engines.core.values import Candidate, Policy
from engines.statistics import metrics
from engines.statistics.estimates import Estimate
from engines.trials import sampling
from engines.trials.evaluation import evaluate
from engines.trials.sampling import Meter
from engines.trials.session import Session
from studies.belief.noise import Noise, noise_of, widened

BLOCKS = 5
SELF_TEST_RUNS = 6
METRICS = ("mean_ms", "latency_ms")
SHOULD_COVER = (0.93, 0.97)


@dataclass(frozen=True)
class Stretch:
    """Short measurements in a row, and the runs of the self-test before them."""

    self_test: tuple[Measurement, ...]
    shorts: tuple[Measurement, ...]

    def noise(self, metric: str) -> Noise | None:
        return noise_of([_estimate(one, metric) for one in self.self_test])


@dataclass(frozen=True)
class Coverage:
    """The share of intervals that hold the truth, and their median half-width relative to the value."""

    share: float
    half_width: float


def short_policy(seconds: float) -> Policy:
    """Five blocks, whatever they show."""
    # a block may end a little early, and the sixth is not wanted
    enough = 0.9 * seconds
    return replace(
        policy_of(seconds), block_seconds=seconds / BLOCKS, minimum_seconds=enough, maximum_seconds=enough
    )


def measure(session: Session, candidate: Candidate, shorts: int, per_self_test: int) -> list[Stretch]:
    """The long run; an interrupt leaves the stretches that were finished."""
    stretches: list[Stretch] = []
    with loaded(session, candidate) as runner, suppress(KeyboardInterrupt):
        meter = Meter(runner, session.policy, session.workload.plan.batch, session.backend.probe())
        for start in range(0, shorts, per_self_test):
            say(f"measurement {start} of {shorts}")
            self_test = tuple(_anew(session, candidate) for _ in range(SELF_TEST_RUNS))
            warmup = sampling.warm_up(meter)
            count = min(per_self_test, shorts - start)
            row = tuple(sampling.measure(meter, warmup) for _ in range(count))
            stretches.append(Stretch(self_test, row))
    return stretches


def _anew(session: Session, candidate: Candidate) -> Measurement:
    found = evaluate(session, candidate, lambda *_: None)
    if found.measurement is None:
        sys.exit(f"the engine failed: {found.failure}")
    return found.measurement


def coverage(estimates: Sequence[Estimate], truth: float) -> Coverage:
    held = [one.low <= truth <= one.high for one in estimates if one.low is not None and one.high is not None]
    widths = [one.relative_half_width or 0.0 for one in estimates]
    return Coverage(float(np.mean(held)), float(np.median(widths)))


def scattered(stretches: Sequence[Stretch], random: np.random.Generator) -> list[Stretch]:
    """As many short measurements of as many blocks, from anywhere in the long run."""
    shorts = [one for stretch in stretches for one in stretch.shorts]
    blocks = [block for one in shorts for block in one.blocks]
    order = iter(random.permutation(len(blocks)).tolist())
    return [
        Stretch(
            stretch.self_test,
            tuple(
                replace(one, blocks=tuple(blocks[next(order)] for _ in one.blocks)) for one in stretch.shorts
            ),
        )
        for stretch in stretches
    ]


def estimates_of(stretches: Sequence[Stretch], metric: str) -> tuple[list[Estimate], list[Estimate]]:
    """The metric of every short measurement: as it is, and widened by its stretch's self-test."""
    plain, wide = [], []
    for stretch in stretches:
        noise = stretch.noise(metric)
        for short in stretch.shorts:
            plain.append(_estimate(short, metric))
            wide.append(widened(plain[-1], noise))
    return plain, wide


def _estimate(measurement: Measurement, metric: str) -> Estimate:
    found = metrics.METRICS[metric].derive(measurement)
    assert found is not None
    return found


def print_coverage(stretches: Sequence[Stretch], random: np.random.Generator) -> bool:
    """The table; whether the plain intervals of means of neighbouring blocks cover as they should."""
    print(f"\n{'metric':12} {'blocks':12} {'truth ms':>10} {'plain':>8} {'half-width':>11}", end="")
    print(f" {'widened':>8} {'half-width':>11}")
    found = {}
    for metric in METRICS:
        for what, rows in (("in a row", stretches), ("scattered", scattered(stretches, random))):
            plain, wide = estimates_of(rows, metric)
            truth = float(np.mean([one.value for one in plain]))
            found[metric, what] = covered = [coverage(one, truth) for one in (plain, wide)]
            cells = " ".join(f"{one.share:8.1%} {one.half_width:11.3%}" for one in covered)
            print(f"{metric:12} {what:12} {truth:10.5f} {cells}")
    means = [[_estimate(one, METRICS[0]).value for one in stretch.shorts] for stretch in stretches]
    logs = [np.log(row) for row in means]
    neighbours = np.sqrt(np.mean([_successive(row) for row in logs]))
    print(f"\nbetween neighbours the means differ by {neighbours:.3%},", end=" ")
    print(f"over the whole run by {np.std(np.concatenate(logs), ddof=1):.3%} (standard deviations)")
    low, high = SHOULD_COVER
    return low <= found[METRICS[0], "in a row"][0].share <= high


def _successive(logs: np.ndarray) -> float:
    """The variance that neighbours alone show: a trend is not in it."""
    return float(np.mean(np.diff(logs) ** 2)) / 2 if len(logs) > 1 else 0.0


def main() -> None:
    """Prints the figures; exits with 1 when the limits are missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_options(parser)
    parser.set_defaults(seconds=0.25)
    parser.add_argument("--measurements", type=int, default=500)
    parser.add_argument("--per-self-test", type=int, default=25)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(heading())
    with workspace_at(arguments.workspace) as workspace:
        subject = subject_of(arguments, workspace, short_policy(arguments.seconds))
        print(subject.lines())
        stretches = measure(
            subject.session(), subject.candidate, arguments.measurements, arguments.per_self_test
        )
    if not stretches:
        sys.exit("interrupted before anything was finished")
    kept = print_coverage(stretches, np.random.default_rng(arguments.seed))
    low, high = SHOULD_COVER
    print(f"\n{verdict(kept, f'{low:.0%} to {high:.0%} of the plain intervals in a row hold the mean')}")
    sys.exit(not kept)


if __name__ == "__main__":
    main()
