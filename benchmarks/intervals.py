"""Whether the intervals and rules of our statistics mean what they say, by simulation.

Coverage of the 95 % intervals for latencies that are independent, correlated, spiked and of two modes; what
stopping at a narrow interval costs; how often certificates are wrong, how often racing drops a candidate that
is as good as the bar, and which interval of a paired comparison covers. Truth is a very long run.
"""

import argparse
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from benchmarks.runs import heading
from engines.core.results import Block, Measurement
from engines.core.values import Bar, Samples
from engines.statistics import estimates as statistics
from engines.statistics.deadlines import certify
from engines.statistics.distributions import student_t
from engines.statistics.estimates import Estimate, design_effect
from engines.statistics.futility import guarded_spread, should_prune
from engines.statistics.metrics import METRICS

Array = NDArray[np.float64]
Random = np.random.Generator
# so many rows of so many latencies in milliseconds, each row a process of its own
Process = Callable[[Random, int, int], Array]

BLOCK = 100
LOOKS = 30
SHOWN = ("latency_ms", "mean_ms", "p99_ms", "throughput")


def correlated(random: Random, rows: int, count: int, correlation: float) -> Array:
    """Normal, of variance 1, each value correlated with the one before."""
    noise: Array = random.normal(size=(count, rows)) * np.sqrt(1 - correlation**2)
    noise[0] /= np.sqrt(1 - correlation**2)
    for at in range(1, count):
        noise[at] += correlation * noise[at - 1]
    return noise.T


def switching(random: Random, rows: int, count: int, share: float, stay: float) -> NDArray[np.bool_]:
    """Whether each value is in a state that takes up a share of the time and is left with chance 1 - stay."""
    states = np.empty((count, rows), dtype=np.bool_)
    states[0] = random.random(rows) < share
    chances = random.random((count, rows))
    entered = (1 - stay) * share / (1 - share)
    for at in range(1, count):
        states[at] = chances[at] < np.where(states[at - 1], stay, entered)
    return states.T


def independent(random: Random, rows: int, count: int) -> Array:
    return np.asarray(np.exp(0.02 * random.normal(size=(rows, count))))


def alike(random: Random, rows: int, count: int) -> Array:
    """An AR(1) process: neighbours are correlated by 0.9, so a block holds about five independent values."""
    return np.exp(0.02 * correlated(random, rows, count, 0.9))


def spiked(random: Random, rows: int, count: int) -> Array:
    """Two in a hundred take up to several times as long."""
    spikes = (random.random((rows, count)) < 0.02) * random.gamma(2.0, 0.3, (rows, count))
    return independent(random, rows, count) * np.exp(spikes)


def two_modes(random: Random, rows: int, count: int) -> Array:
    """A third of the time 10 % slower, for about ten inferences each time."""
    return independent(random, rows, count) * (1 + 0.1 * switching(random, rows, count, 1 / 3, 0.9))


def bursts(random: Random, rows: int, count: int) -> Array:
    """Two in a hundred are spikes, about ten in a row."""
    spikes = switching(random, rows, count, 0.02, 0.9) * random.gamma(2.0, 0.3, (rows, count))
    return independent(random, rows, count) * np.exp(spikes)


PROCESSES: dict[str, Process] = {
    "independent": independent,
    "AR(1) 0.9": alike,
    "spikes": spiked,
    "two modes": two_modes,
}


def measurement(latencies: Samples, blocks: int) -> Measurement:
    made = tuple(Block(one, float(one.sum()) / 1e3, 0.0) for one in np.array_split(latencies, blocks))
    return Measurement(made, 1, 1, 0.0, 0, converged=False)


def truths(random: Random, process: Process) -> dict[str, float]:
    """Each statistic of four million latencies."""
    latencies = process(random, 400, 10_000).ravel()
    found = {"latency_ms": np.median(latencies), "mean_ms": np.mean(latencies)}
    found |= {"p99_ms": np.quantile(latencies, 0.99), "throughput": 1e3 / np.mean(latencies)}
    return {name: float(value) for name, value in found.items()}


def covers(estimate: Estimate | None, truth: float) -> bool:
    return (
        estimate is not None
        and estimate.low is not None
        and estimate.high is not None
        and estimate.low <= truth <= estimate.high
    )


def show_coverage(random: Random, repeats: int) -> None:
    print(f"\nCoverage of 95 % intervals, blocks of {BLOCK}; in brackets the share that has an interval")
    print(f"{'process':12} {'blocks':>6} " + " ".join(f"{name:>20}" for name in SHOWN))
    for name, process in PROCESSES.items():
        truth = truths(random, process)
        for blocks in (5, 10, 30):
            rows = process(random, repeats, blocks * BLOCK)
            cells = [_coverage([measurement(row, blocks) for row in rows], one, truth[one]) for one in SHOWN]
            print(f"{name:12} {blocks:6} " + " ".join(f"{cell:>20}" for cell in cells), flush=True)


def _coverage(measurements: Iterable[Measurement], name: str, truth: float) -> str:
    estimates = [METRICS[name].derive(one) for one in measurements]
    known = [one for one in estimates if one is not None and one.high is not None]
    if not known:
        return "none (0 %)"
    covered = np.mean([covers(one, truth) for one in known])
    width = np.median([one.relative_half_width or 0.0 for one in known])
    return f"{covered:.1%} ±{width:.2%} ({len(known) / len(estimates):.0%})"


# how many of the intervals so far have to be narrow, and from how many blocks on
RULES = {
    "5 blocks": (1, 5),
    "8 blocks": (1, 8),
    "10 blocks": (1, 10),
    "5, twice": (2, 5),
    "10, twice": (2, 10),
}
# the target, in standard deviations of a block
TARGETS = (1.0, 0.8, 0.6, 0.5, 0.4)


def show_stopping(random: Random, repeats: int) -> None:
    """Coverage of the mean where sampling stops at a narrow interval, the worst of several targets."""
    print(f"\nSampling until the interval is narrow, at most {LOOKS} blocks: coverage at the worst target")
    print(f"{'blocks are':16} " + " ".join(f"{rule:>14}" for rule in RULES) + f" {'never stops':>14}")
    for name, correlation in (("independent", 0.0), ("AR(1) 0.3", 0.3)):
        rows = np.exp(0.02 * correlated(random, repeats, LOOKS, correlation))
        truth = float(np.exp(0.02**2 / 2))
        looks = [[_mean_of(row[:count]) for count in range(2, LOOKS + 1)] for row in rows]
        cells = []
        for narrow, least in RULES.values():
            found = [_stopped(looks, 0.02 * target, narrow, least, truth) for target in TARGETS]
            covered, blocks = min(found)
            cells.append(f"{covered:.1%} ({blocks:.0f})")
        cells.append(f"{np.mean([covers(row[-1], truth) for row in looks]):.1%} ({LOOKS})")
        print(f"{name:16} " + " ".join(f"{cell:>14}" for cell in cells), flush=True)


def _mean_of(values: Samples) -> Estimate:
    return statistics.latency(measurement(values, len(values)), statistics.mean)


def _stopped(
    looks: Sequence[Sequence[Estimate]], target: float, narrow: int, least: int, truth: float
) -> tuple[float, float]:
    """Coverage and the mean number of blocks."""
    ends = [_end([(one.relative_half_width or 0.0) <= target for one in row], narrow, least) for row in looks]
    covered = [covers(row[end], truth) for row, end in zip(looks, ends, strict=True)]
    return float(np.mean(covered)), float(np.mean(ends)) + 2


def _end(narrow_enough: Sequence[bool], narrow: int, least: int) -> int:
    """The look at which sampling stops; the first look is at two blocks."""
    for end in range(least - 2, len(narrow_enough)):
        if all(narrow_enough[end - narrow + 1 : end + 1]) and end - narrow + 1 >= least - 2:
            return end
    return len(narrow_enough) - 1


def show_certificates(random: Random, repeats: int) -> None:
    print(
        "\nCertificates of p99 at 95 %, ten blocks: wrong ones (deadline at the true p98.9), and those given"
    )
    print("for a deadline at the true p99.8; as if independent, and with the design effect of the blocks")
    print(
        f"{'process':12} {'samples':>7} {'wrong':>8} {'wrong, effect':>14} {'given':>8} {'given, effect':>14}"
    )
    for name, process in (("independent", independent), ("AR(1) 0.9", alike), ("bursts", bursts)):
        tight, loose = np.quantile(process(random, 400, 10_000), [0.989, 0.998])
        for samples in (600, 3000, 10_000):
            rows = process(random, repeats, samples)
            cells = []
            for deadline in (tight, loose):
                for effect in (False, True):
                    held = [_holds(row, float(deadline), effect) for row in rows]
                    cells.append(f"{np.mean(held):.1%}")
            widths = (8, 14, 8, 14)
            shown = " ".join(f"{cell:>{width}}" for cell, width in zip(cells, widths, strict=True))
            print(f"{name:12} {samples:7} {shown}", flush=True)


def _holds(latencies: Samples, deadline_ms: float, effect: bool) -> bool:
    factor = design_effect(np.array_split(latencies, 10), 99) if effect else 1.0
    return certify(latencies, deadline_ms, design_effect=factor).holds


def show_racing(random: Random, repeats: int) -> None:
    """The bar's spread comes from runs of ten blocks of the same engine, as a self-test gives it."""
    print(f"\nRacing over {LOOKS} blocks: dropped of 1000 candidates that are as good as the bar's engine")
    print("blocks       run to run  bar from         A/A runs 5  A/A runs 10")
    for correlation, block, run in ((0.0, 0.005, 0.0025), (0.5, 0.005, 0.0), (0.5, 0.005, 0.0025)):
        for rivals in (1, 50):
            what = "one run" if rivals == 1 else f"best of {rivals}"
            cells = []
            for runs in (5, 10):
                race = partial(_race, random, correlation, block, run, rivals, runs)
                cells.append(f"{1000 * np.mean([race(0.0) < LOOKS for _ in range(repeats)]):.1f}")
            shown = f"AR(1) {correlation} {block:.1%} {run:9.2%}  {what:12}"
            print(f"{shown} {cells[0]:>14} {cells[1]:>12}", flush=True)
    print(f"\nBlocks of {LOOKS} that racing still takes, A/A runs 10, bar from one run, by how much slower")
    print(f"{'blocks':>16} {'run to run':>11} " + " ".join(f"{slower:>7.0%}" for slower in SLOWER))
    for correlation, block, run in ((0.0, 0.005, 0.0025), (0.5, 0.005, 0.0025), (0.0, 0.02, 0.005)):
        taken = [
            np.mean([_race(random, correlation, block, run, 1, 10, slower) for _ in range(repeats // 20)])
            for slower in SLOWER
        ]
        shown = f"AR(1) {correlation} {block:.1%} {run:9.2%} "
        print(f"{shown:>28} " + " ".join(f"{blocks:7.1f}" for blocks in taken), flush=True)


SLOWER = (0.01, 0.02, 0.05, 0.2, 1.0)


def _race(
    random: Random, correlation: float, block: float, run: float, rivals: int, runs: int, slower: float
) -> int:
    """How many blocks are taken of a candidate whose time is by so much longer than that of the rivals."""
    timed = block * correlated(random, rivals + runs + 1, LOOKS, correlation)
    timed += run * random.normal(size=(len(timed), 1))
    shorter = timed[:-1, :10].mean(axis=1)
    spread = guarded_spread(float(np.std(shorter[rivals:], ddof=1)), runs - 1)
    bar = Bar(float(np.exp(shorter[:rivals].min())), spread)
    values = ((1 + slower) * np.exp(timed[-1])).tolist()
    return next((count for count in range(3, LOOKS) if should_prune(values[:count], bar, "minimize")), LOOKS)


def show_pairs(random: Random, repeats: int, blocks: int = 6) -> None:
    print(f"\nPairs in S sessions of {blocks} interleaved blocks (1 % between blocks): coverage of the ratio")
    print(f"{'between sessions':18} {'S':>2} {'t of sessions':>16} {'bootstrap':>16} {'t of all blocks':>16}")
    for between in (0.0, 0.005, 0.02):
        for sessions in (3, 5, 8):
            means = random.normal(0.0, between, (repeats, sessions, 1)) if between else 0.0
            logs = means + random.normal(0.0, 0.01 * np.sqrt(2), (repeats, sessions, blocks))
            by_session = logs.mean(axis=2)
            found = (
                _student(by_session),
                _bootstrap(random, by_session),
                _student(logs.reshape(repeats, -1)),
            )
            cells = " ".join(
                f"{np.mean((low <= 0) & (high >= 0)):.1%} ±{np.median(high - low) / 2:.2%}".rjust(16)
                for low, high in found
            )
            print(f"{between:<18.1%} {sessions:2} {cells}", flush=True)


def _student(values: Array) -> tuple[Array, Array]:
    count = values.shape[1]
    half = student_t(0.975, count - 1) * values.std(axis=1, ddof=1) / np.sqrt(count)
    return values.mean(axis=1) - half, values.mean(axis=1) + half


def _bootstrap(random: Random, values: Array, draws: int = 1000) -> tuple[Array, Array]:
    """Sessions are drawn with replacement; the interval is that of the means' percentiles."""
    rows, count = values.shape
    drawn = random.multinomial(count, np.full(count, 1 / count), (rows, draws)) / count
    low, high = np.quantile(np.einsum("rdc,rc->rd", drawn, values), [0.025, 0.975], axis=1)
    return low, high


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    random, repeats = np.random.default_rng(arguments.seed), arguments.repeats
    print(heading())
    show_coverage(random, repeats)
    show_stopping(random, 4 * repeats)
    show_certificates(random, repeats)
    show_racing(random, 4 * repeats)
    show_pairs(random, 2 * repeats)


if __name__ == "__main__":
    main()
