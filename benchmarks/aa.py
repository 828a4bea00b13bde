"""Whether the same engine measured twice is called different, in pairs and in finals.

    python -m benchmarks.aa [MODEL --shapes input:8x3x224x224] [--backend tensorrt-rtx] [--finals 10]

Both of a pair are measured as trials are: loaded, warmed up and timed anew, one after the other. Every so
many pairs begin with a self-test, as a study does. In the finals all three finalists are the same engine.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.contests import contest, engines
from benchmarks.recording import Recording, Run, evaluation_of, load, recording_of, run_of, save
from benchmarks.runs import heading, verdict
from benchmarks.subjects import (
    Subject,
    add_options,
    measured,
    policy_of,
    say,
    subject_of,
    workspace_at,
)
from benchmarks.subjects import pair as study_of_pair
from engines.core.results import Evaluation
from engines.core.values import Candidate
from engines.statistics import estimates
from engines.statistics.estimates import Estimate
from engines.worker.client import Worker
from studies.analysis.comparison import comparison
from studies.belief.measurement_plan import MeasurementPlan
from studies.belief.noise import noise, widened
from studies.core.metrics import METRICS
from studies.core.records import StudyRecord, StudySpec
from studies.finals.verdict import verdict_of

# trial 0 and the runs behind it
SELF_TEST_RUNS = 6
LIMIT = 0.05
RULES = (
    "the intervals of the two measurements",
    "the intervals widened by the self-test",
    "the study's rule: widened, and no less than it can detect",
)


@dataclass(frozen=True)
class Group:
    """Pairs of measurements of one engine, and the self-test before them."""

    self_test: tuple[Evaluation, ...]
    pairs: tuple[tuple[Evaluation, Evaluation], ...]


def measure(subject: Subject, pairs: int, per_group: int) -> list[Group]:
    """The pairs, through one worker; an interrupt leaves those of the groups that were finished."""
    groups: list[Group] = []
    with subject.worker() as worker, suppress(KeyboardInterrupt):
        measured(worker, subject.candidate)  # makes the engine, which leaves the machine in another state
        for start in range(0, pairs, per_group):
            say(f"pair {start} of {pairs}")
            groups.append(_group(worker, subject.candidate, min(per_group, pairs - start)))
    return groups


def _group(worker: Worker, candidate: Candidate, pairs: int) -> Group:
    self_test = tuple(measured(worker, candidate) for _ in range(SELF_TEST_RUNS))
    return Group(
        self_test, tuple((measured(worker, candidate), measured(worker, candidate)) for _ in range(pairs))
    )


def called_different(
    spec: StudySpec, group: Group, pair: tuple[Evaluation, Evaluation]
) -> tuple[bool, bool, bool]:
    """Whether each of the rules says that the two are not the same engine."""
    found = as_study(spec, group, pair)
    one, other = (_value(spec, evaluation) for evaluation in pair)
    machine = noise(found)
    wide = estimates.ratio(widened(one, machine), widened(other, machine))
    return (
        verdict_of(estimates.ratio(one, other)) != "same",
        verdict_of(wide) != "same",
        comparison(found).verdict != "same",
    )


def as_study(spec: StudySpec, group: Group, pair: tuple[Evaluation, Evaluation]) -> StudyRecord:
    """A study that found the better of the two as its best, and has the worse one for a baseline."""
    sign = 1 if spec.objectives[0].direction == "maximize" else -1
    worse, better = sorted(pair, key=lambda one: sign * _value(spec, one).value)
    # the self-test is whole without the baseline
    return study_of_pair(spec, group.self_test, worse, better, reused=True)


def _value(spec: StudySpec, evaluation: Evaluation) -> Estimate:
    found = METRICS[spec.objectives[0].metric].of(evaluation)
    assert found is not None
    return found


def print_pairs(spec: StudySpec, groups: Sequence[Group]) -> bool:
    """What each rule says of the pairs; whether the study's keeps the limit."""
    called = np.array([called_different(spec, group, pair) for group in groups for pair in group.pairs])
    values = [_value(spec, one) for group in groups for pair in group.pairs for one in pair]
    logs = np.log([one.value for one in values])
    machines = [noise(as_study(spec, group, group.pairs[0])) for group in groups]
    detectable = [one.detectable for one in machines if one is not None]
    print(f"\n{len(values)} measurements: {spec.objectives[0].metric} {np.exp(logs.mean()):.5g},", end=" ")
    print(f"standard deviation from run to run {np.std(logs, ddof=1):.3%},", end=" ")
    print(f"half-width {np.median([one.relative_half_width or 0.0 for one in values]):.3%} (median)")
    print(
        f"detectable by {len(groups)} self-tests of {SELF_TEST_RUNS} runs: {np.median(detectable):.3%}",
        end="",
    )
    print(f" (median), {min(detectable):.3%} to {max(detectable):.3%}\n")
    print(f"of {len(called)} pairs of measurements of the same engine are called different by")
    for rule, count in zip(RULES, called.sum(axis=0), strict=True):
        print(f"{count:5} = {count / len(called):6.1%}  {rule}")
    return bool(called[:, -1].mean() <= LIMIT)


def print_finals(subject: Subject, count: int, *, keep: bool) -> None:
    """How many finals between an engine and itself find a difference."""
    rivals, measurement_plan = (subject,) * 3, MeasurementPlan()
    with subject.worker() as worker:
        known = measured(worker, subject.candidate)
    different = ratios = 0
    with engines(rivals, keep=keep) as open_engine:
        for number in range(count):
            say(f"finals {number} of {count}")
            held = contest(rivals, [known] * 3, open_engine, measurement_plan, number)
            different += held.winner.verdict != "same"
            ratios += any(one.verdict != "same" for one in held.finalists)
    size = f"{measurement_plan.sessions} sessions of {measurement_plan.rounds} rounds"
    print(
        f"\n{count} finals of one engine three times, {size}: {different} have a winner that is not the same"
    )
    print(f"as the baseline, and {ratios} any finalist that is not")


def recorded(subject: Subject, groups: Sequence[Group]) -> Recording:
    """Blocks alone, group by group: the runs of the self-test are 0 to 5, then pair follows pair."""
    runs = [
        run_of(number, 0, one, subject.metric)
        for number, group in enumerate(groups)
        for one in (*group.self_test, *(one for pair in group.pairs for one in pair))
    ]
    return recording_of(subject, (subject.candidate,), runs)


def replayed(recording: Recording) -> list[Group]:
    """The groups as they were recorded."""
    found: dict[int, list[Run]] = {}
    for run in recording.runs:
        found.setdefault(run.round, []).append(run)
    made = [[evaluation_of(recording, run) for run in runs] for runs in found.values()]
    return [
        Group(
            tuple(one[:SELF_TEST_RUNS]),
            tuple(zip(one[SELF_TEST_RUNS::2], one[SELF_TEST_RUNS + 1 :: 2], strict=True)),
        )
        for one in made
    ]


def main() -> None:
    """Prints the figures; exits with 1 when the limit is missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_options(parser)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--pairs-per-self-test", type=int, default=10)
    parser.add_argument("--finals", type=int, default=0, help="so many finals besides")
    parser.add_argument("--keep-processes", action="store_true", help="finals start no process a session")
    parser.add_argument("--output", type=Path, help="records the measurements (NAME.json.gz)")
    parser.add_argument("--recording", type=Path, help="measures nothing, and takes what was recorded")
    arguments = parser.parse_args()
    print(heading())
    if arguments.recording:
        recording = load(arguments.recording)
        print(recording.lines())
        kept = print_pairs(recording.spec, replayed(recording))
    else:
        kept = _measured(arguments)
    print(f"\n{verdict(kept, f'the rule calls at most {LIMIT:.0%} of the pairs different')}")
    sys.exit(not kept)


def _measured(arguments: argparse.Namespace) -> bool:
    with workspace_at(arguments.workspace) as workspace:
        subject = subject_of(arguments, workspace, policy_of(arguments.seconds))
        print(subject.lines())
        groups = measure(subject, arguments.pairs, arguments.pairs_per_self_test)
        if not groups:
            sys.exit("interrupted before anything was finished")
        kept = print_pairs(subject.spec, groups)
        if arguments.output:
            save(arguments.output, recorded(subject, groups))
        if arguments.finals:
            print_finals(subject, arguments.finals, keep=arguments.keep_processes)
    return kept


if __name__ == "__main__":
    main()
