from pathlib import Path

import numpy as np
import pytest

from benchmarks.aa import Group, as_study, called_different, print_pairs, recorded, replayed
from engines.core.results import Evaluation
from studies.belief.noise import noise
from tests.benchmarks.recordings import subject
from tests.records import measured, study_spec
from tests.studies.repeated import CANDIDATES

SPEC = study_spec()


def at(latency_ms: float, seed: int = 0, noise: float = 0.001) -> Evaluation:
    random = np.random.default_rng(seed)
    return measured(CANDIDATES[0], random, latency_ms=latency_ms, error=0.0, noise=noise)


def group(spread: float, *pairs: tuple[float, float]) -> Group:
    """A self-test whose runs spread so much, relative to one another."""
    levels = 1 + spread * np.array([-1.2, -0.7, -0.1, 0.1, 0.7, 1.2])
    self_test = tuple(at(level, seed) for seed, level in enumerate(levels))
    return Group(self_test, tuple((at(one, 10), at(other, 11)) for one, other in pairs))


def test_a_difference_beyond_the_noise_is_one_by_every_rule() -> None:
    made = group(0.001, (1.0, 1.1), (1.1, 1.0))
    assert [called_different(SPEC, made, pair) for pair in made.pairs] == [(True, True, True)] * 2


def test_a_difference_within_the_noise_is_one_for_the_intervals_alone() -> None:
    made = group(0.05, (1.0, 1.02))
    assert called_different(SPEC, made, made.pairs[0]) == (True, False, False)


def test_the_same_is_the_same() -> None:
    made = group(0.001, (1.0, 1.0))
    assert called_different(SPEC, made, made.pairs[0]) == (False, False, False)


def test_the_noise_is_that_of_the_self_test_alone() -> None:
    made = group(0.001, (1.0, 5.0))
    found = noise(as_study(SPEC, made, made.pairs[0]))
    assert found is not None
    assert found.runs == 6
    assert found.spread == pytest.approx(0.001, rel=0.2)


def test_groups_are_found_again_in_their_recording(tmp_path: Path) -> None:
    groups = [group(0.001, (1.0, 2.0), (3.0, 4.0)), group(0.001, (5.0, 6.0))]
    again = replayed(recorded(subject(tmp_path), groups))
    assert [len(one.self_test) for one in again] == [6, 6]
    levels = [
        round(float(np.median(one.measurement.blocks[0].latency_ms)))
        for found in again
        for pair in found.pairs
        for one in pair
        if one.measurement is not None
    ]
    assert levels == [1, 2, 3, 4, 5, 6]


def test_more_than_one_in_twenty_is_too_many(capsys: pytest.CaptureFixture[str]) -> None:
    assert print_pairs(SPEC, [group(0.001, *[(1.0, 1.0)] * 19, (1.0, 1.2))])
    assert not print_pairs(SPEC, [group(0.001, *[(1.0, 1.0)] * 9, (1.0, 1.2))])
    assert "10.0%  the study's rule" in capsys.readouterr().out
