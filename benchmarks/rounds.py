"""Records candidates measured again and again, to be replayed as studies: see `benchmarks.replays`.

    python -m benchmarks.rounds MODEL --shapes input:8x3x224x224 --output benchmarks/recordings/NAME.json.gz

Each round measures every candidate once in random order, in full. The first round makes the engines.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from benchmarks.recording import Recording, Run, recording_of, run_of, save
from benchmarks.runs import heading
from benchmarks.subjects import (
    LONGEST_SECONDS,
    Subject,
    add_options,
    policy_of,
    say,
    subject_of,
    workspace_at,
)
from engines.core.values import Candidate
from studies.core.objectives import DEFAULT_ERROR_LIMIT
from studies.core.space import Space, candidate_at, points, size

# a space that is larger is drawn from blindly
MOST_LISTED = 100_000


def chosen(
    space: Space, baseline: Candidate, most: int, random: np.random.Generator
) -> tuple[Candidate, ...]:
    """The baseline, and others of the space at random; all of them where they are not too many."""
    if size(space) <= MOST_LISTED:
        listed = [candidate_at(space, point) for point in points(space)]
        drawn = [listed[int(index)] for index in random.permutation(len(listed))]
    else:
        drawn = [
            candidate_at(
                space, {one.name: one.choices[int(random.integers(len(one.choices)))] for one in space}
            )
            for _ in range(20 * most)
        ]
    return tuple(dict.fromkeys((baseline, *drawn)))[:most]


def record(subject: Subject, candidates: Sequence[Candidate], rounds: int, seed: int) -> list[Run]:
    """Every candidate in every round; an interrupt leaves the rounds that were finished."""
    random, begun = np.random.default_rng(seed), time.monotonic()
    runs: list[Run] = []
    with subject.worker() as worker, suppress(KeyboardInterrupt):
        for number in range(rounds):
            say(f"round {number + 1} of {rounds} after {time.monotonic() - begun:.0f} s")
            order = random.permutation(len(candidates)).tolist()
            # one that failed is asked again, which costs little
            made = [worker.evaluate(candidates[index], LONGEST_SECONDS) for index in order]
            runs += [
                run_of(number, index, one, subject.metric) for index, one in zip(order, made, strict=True)
            ]
    return runs


def print_summary(recording: Recording) -> None:
    """What the runs came to."""
    failures = Counter(run.failure or "measured" for run in recording.runs)
    print(recording.lines())
    print(f"          {', '.join(f'{count} {what}' for what, count in failures.most_common())}")
    baseline = [float(np.median(run.values)) for run in recording.runs if run.candidate == 0 and run.values]
    if len(baseline) > 1:
        spread = float(np.std(np.log(baseline), ddof=1))
        print(f"baseline  {np.median(baseline):.5g} ms, {spread:.3%} from round to round")


def main() -> None:
    """Writes the recording."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    add_options(parser)
    parser.add_argument("--constraint", action="append", default=[], help=f"by default {DEFAULT_ERROR_LIMIT}")
    parser.add_argument("--candidates", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, required=True, help="NAME.json.gz")
    arguments = parser.parse_args()
    print(heading())
    with workspace_at(arguments.workspace) as workspace:
        subject = subject_of(arguments, workspace, policy_of(arguments.seconds), arguments.constraint)
        print(subject.lines())
        random = np.random.default_rng(arguments.seed)
        candidates = chosen(subject.spec.space, subject.candidate, arguments.candidates, random)
        runs = record(subject, candidates, arguments.rounds, arguments.seed)
    if not runs:
        sys.exit("interrupted before anything was finished")
    recording = recording_of(subject, candidates, runs)
    save(arguments.output, recording)
    print_summary(recording)
    print(f"wrote     {arguments.output.name}, {arguments.output.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
