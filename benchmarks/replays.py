"""Studies replayed from recorded rounds: what finals and racing would have done.

    python -m benchmarks.replays benchmarks/recordings/NAME.json.gz

The truth is the mean logarithm over all rounds, and only candidates that are feasible in every round take
part. In a replayed study each candidate's trial is what one of the early rounds measured; the self-test is
the baseline in other rounds, and rounds that no trial came from are the sessions of the finals. A session's
blocks are interleaved, and those of a round are not: real finals see less noise than these. Recommended is
the winner where it is proven to be faster than the baseline, else the baseline.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.recording import Recording, Run, evaluation_of, load
from benchmarks.runs import heading, verdict
from benchmarks.subjects import repeat, study, trial
from engines.core.results import Evaluation
from engines.core.values import Bar
from engines.statistics.futility import should_prune
from studies.analysis.comparison import best, recommended
from studies.belief.bar import bar_of
from studies.belief.devices import beliefs
from studies.belief.measurement_plan import MeasurementPlan
from studies.core.objectives import judge
from studies.core.records import RepeatRecord, StudyRecord, TrialRecord
from studies.finals.select import finalists
from studies.finals.verdict import interval_of

MEASUREMENT_PLAN = MeasurementPlan()
NEAR = 0.005
WANTED = 0.95
WINNER = "finals"


@dataclass(frozen=True)
class Rounds:
    """What every feasible candidate did in every round; the baseline is the first."""

    recording: Recording
    runs: tuple[tuple[Run, ...], ...]

    @property
    def count(self) -> int:
        return len(self.runs[0])

    def evaluation(self, candidate: int, number: int) -> Evaluation:
        return evaluation_of(self.recording, self.runs[candidate][number])

    def trial(self, number: int, candidate: int, round_number: int) -> TrialRecord:
        return trial(self.recording.spec, number, self.evaluation(candidate, round_number))


def rounds_of(recording: Recording) -> Rounds:
    """The candidates that are feasible in every round; the baseline has to be one of them."""
    runs: list[list[Run]] = [[] for _ in recording.candidates]
    for run in recording.runs:
        runs[run.candidate].append(run)
    kept = [of for of in runs if _is_feasible(recording, of)]
    if not kept or kept[0] is not runs[0]:
        sys.exit("the baseline is not feasible in every round")
    return Rounds(recording, tuple(tuple(of) for of in kept))


def _is_feasible(recording: Recording, runs: Sequence[Run]) -> bool:
    states = (judge(evaluation_of(recording, run), recording.spec.constraints)[0] for run in runs)
    return len(runs) == recording.rounds and all(state == "feasible" for state in states)


def costs(rounds: Rounds) -> list[float]:
    """Of each candidate the mean over all rounds of the logarithm of its latency."""
    medians = [[np.median(run.values) for run in runs] for runs in rounds.runs]
    return [float(np.mean(np.log(values))) for values in medians]


def replay(rounds: Rounds, random: np.random.Generator) -> tuple[StudyRecord, StudyRecord]:
    """A study without its finals, and with them."""
    order = random.permutation(rounds.count).tolist()
    sessions, early = order[: MEASUREMENT_PLAN.sessions], order[MEASUREMENT_PLAN.sessions :]
    drawn = [int(random.choice(early)) for _ in rounds.runs]
    trials = [rounds.trial(number, number, drawn[number]) for number in range(len(rounds.runs))]
    searched = study(rounds.recording.spec, trials, _self_test(rounds, drawn[0], random))
    again = [
        repeat("final", one.number, rounds.evaluation(one.number, number), len(trials), session)
        for session, number in enumerate(sessions)
        for one in finalists(searched, MEASUREMENT_PLAN.finalists)
    ]
    return searched, study(rounds.recording.spec, trials, [*searched.repeats, *again])


def _self_test(rounds: Rounds, but: int, random: np.random.Generator) -> list[RepeatRecord]:
    others = [number for number in range(rounds.count) if number != but]
    drawn = random.permutation(others)[: MEASUREMENT_PLAN.self_test_runs].tolist()
    return [repeat("self-test", 0, rounds.evaluation(0, number), 1, 0) for number in drawn]


@dataclass(frozen=True)
class Race:
    """One search of all candidates with racing: seconds measured with and without it."""

    taken: float
    whole: float
    best_was_dropped: bool


def race(rounds: Rounds, true_best: int, random: np.random.Generator) -> Race:
    """The candidates in random order behind the baseline, each from a round at random."""
    drawn = random.integers(rounds.count, size=len(rounds.runs)).tolist()
    baseline = rounds.trial(0, 0, drawn[0])
    believed = beliefs(study(rounds.recording.spec, [baseline], _self_test(rounds, drawn[0], random)))
    records, taken, whole, was_dropped = [baseline], 0.0, 0.0, False
    for candidate in (1 + random.permutation(len(rounds.runs) - 1)).tolist():
        run = rounds.runs[candidate][drawn[candidate]]
        bar = bar_of(records, rounds.recording.spec.objectives, believed)
        end = dropped_at(run.values, bar)
        taken, whole = taken + sum(run.spans[:end]), whole + sum(run.spans)
        if end is None:
            records.append(rounds.trial(len(records), candidate, drawn[candidate]))
        else:
            was_dropped |= candidate == true_best
    return Race(taken, whole, was_dropped)


def dropped_at(values: Sequence[float], bar: Bar | None) -> int | None:
    """After how many blocks a latency is given up; None where it is measured to the end."""
    if bar is None:
        return None
    counts = range(1, len(values) + 1)
    return next((end for end in counts if should_prune(values[:end], bar, "minimize")), None)


def print_finals(rounds: Rounds, replays: int, random: np.random.Generator) -> bool:
    """How near the chosen engine is to the true best; whether it is near often enough."""
    true = costs(rounds)
    gaps: dict[str, list[float]] = {WINNER: [], "recommended": [], "best trial": []}
    for _ in range(replays):
        searched, held = replay(rounds, random)
        for what, found in zip(gaps, (best(held), recommended(held), best(searched)), strict=True):
            assert found is not None
            gaps[what].append(float(np.expm1(true[found.number] - min(true))))
    print(f"\n{'chosen':12} {'within ' + format(NEAR, '.1%'):>12} {'mean gap':>9} {'worst gap':>10}")
    for what, values in gaps.items():
        near = np.count_nonzero(np.array(values) <= NEAR)
        shown = f"{near} of {len(values)}"
        print(f"{what:12} {shown:>12} {np.mean(values):9.3%} {max(values):10.3%}")
    return float(np.mean(np.array(gaps[WINNER]) <= NEAR)) >= WANTED


def print_races(rounds: Rounds, replays: int, random: np.random.Generator) -> bool:
    """What racing saves; whether it never dropped the true best."""
    true_best = int(np.argmin(costs(rounds)))
    races = [race(rounds, true_best, random) for _ in range(replays)]
    saved = [1 - one.taken / one.whole for one in races if one.whole]
    dropped = sum(one.best_was_dropped for one in races)
    print(f"\nracing    saves {np.mean(saved):.1%} of the measuring time,", end=" ")
    print(f"{min(saved):.1%} to {max(saved):.1%},")
    print(f"          and dropped the true best in {dropped} of {len(races)} replays")
    return dropped == 0


def ratio_coverage(rounds: Rounds, draws: int, random: np.random.Generator) -> float:
    """The share of intervals of a ratio to the baseline, over as many rounds as finals have, that hold.

    The truth is the other rounds' ratio, whose own noise enlarges the interval: as for the prediction of a
    mean by a mean.
    """
    logs = np.log([[np.median(run.values) for run in runs] for runs in rounds.runs])
    sessions, held = MEASUREMENT_PLAN.sessions, 0
    for _ in range(draws):
        order = random.permutation(rounds.count)
        found = logs[random.integers(1, len(logs))] - logs[0]
        some, others = found[order[:sessions]], found[order[sessions:]]
        interval = interval_of(some.tolist(), 1)
        assert interval.high is not None
        allowed = math.log(interval.high / interval.value) * math.sqrt(1 + sessions / len(others))
        held += abs(float(some.mean() - others.mean())) <= allowed
    return held / draws


def print_rounds(rounds: Rounds) -> None:
    true = costs(rounds)
    logs = np.log([[np.median(run.values) for run in runs] for runs in rounds.runs])
    spread = float(np.sqrt(np.mean(np.var(logs, axis=1, ddof=1))))
    order = np.sort(true)
    near = int(np.count_nonzero(order - order[0] <= np.log1p(NEAR)))
    print(f"{len(true)} of {len(rounds.recording.candidates)} candidates are feasible in all", end=" ")
    print(f"{rounds.count} rounds; the best takes {np.exp(order[0]):.5g} ms, the baseline", end=" ")
    print(f"{np.exp(true[0]):.5g} ms,\nand {near} are within {NEAR:.1%} of the best;", end=" ")
    print(f"from round to round one differs by {spread:.3%} (standard deviation)")


def main() -> None:
    """Prints the figures of each recording; exits with 1 when a limit is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("recordings", type=Path, nargs="+")
    parser.add_argument("--replays", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    print(heading())
    kept = [_replay(path, arguments.replays, arguments.seed) for path in arguments.recordings]
    sys.exit(not all(kept))


def _replay(path: Path, replays: int, seed: int) -> bool:
    recording = load(path)
    rounds = rounds_of(recording)
    print(f"\n{path.name}\n{recording.lines()}")
    print_rounds(rounds)
    near = print_finals(rounds, replays, np.random.default_rng(seed))
    never = print_races(rounds, replays, np.random.default_rng(seed))
    covered = ratio_coverage(rounds, 20 * replays, np.random.default_rng(seed))
    print(
        f"ratios    over {MEASUREMENT_PLAN.sessions} rounds have a 95 % interval that holds in {covered:.1%}"
    )
    limit = f"{WINNER} end within {NEAR:.1%} of the true best in {WANTED:.0%} of the replays"
    print(f"\n{verdict(near, limit)}")
    print(verdict(never, "racing never drops the true best"))
    return near and never


if __name__ == "__main__":
    main()
