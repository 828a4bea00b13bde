from collections import Counter
from pathlib import Path

import numpy as np

from benchmarks.rounds import chosen, record
from benchmarks.subjects import policy_of, subject
from engines.artifacts.workspace import Workspace
from examples import models
from studies.core.space import size
from tests.records import SPACE, candidate

BASELINE = candidate("fp32", "all", 2, True)


def test_the_baseline_is_first_and_nobody_comes_twice() -> None:
    found = chosen(SPACE, BASELINE, 20, np.random.default_rng(0))
    assert found[0] == BASELINE
    assert len(set(found)) == len(found) == 20


def test_a_small_space_is_taken_whole() -> None:
    assert len(chosen(SPACE, BASELINE, 1000, np.random.default_rng(0))) == size(SPACE)


def test_every_round_measures_every_candidate_once(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path).create()
    found = subject(models.save("mlp", tmp_path), workspace, policy_of(0.05), "fake")
    candidates = chosen(found.spec.space, found.candidate, 4, np.random.default_rng(0))
    runs = record(found, candidates, rounds=2, seed=0)
    assert Counter((run.round, run.candidate) for run in runs) == Counter(
        {(number, one): 1 for number in range(2) for one in range(4)}
    )
    assert all(len(run.values) >= 5 for run in runs)
