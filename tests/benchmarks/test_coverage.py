from pathlib import Path

import numpy as np
import pytest

from benchmarks.coverage import Stretch, coverage, estimates_of, measure, scattered, short_policy
from benchmarks.subjects import subject
from engines.artifacts.workspace import Workspace
from engines.core.results import Block, Measurement
from engines.statistics.estimates import Estimate
from examples import models


def short(*levels: float) -> Measurement:
    random = np.random.default_rng(0)
    blocks = tuple(Block(level * random.normal(1.0, 0.01, 50), 0.05, 0.0) for level in levels)
    return Measurement(blocks, 1, 1, 0.0, 0, converged=False)


def test_coverage_is_the_share_of_intervals_that_hold_the_truth() -> None:
    found = coverage([Estimate(1.0, 0.9, 1.1), Estimate(1.2, 1.1, 1.3)], 1.0)
    assert found.share == 0.5
    assert found.half_width == pytest.approx((0.1 + 0.1 / 1.2) / 2)


def test_scattering_only_moves_blocks() -> None:
    stretches = [Stretch((), (short(1.0, 2.0), short(3.0, 4.0))), Stretch((), (short(5.0, 6.0),))]
    found = scattered(stretches, np.random.default_rng(0))
    assert [[len(one.blocks) for one in stretch.shorts] for stretch in found] == [[2, 2], [2]]
    before, after = (
        [id(b) for s in rows for one in s.shorts for b in one.blocks] for rows in (stretches, found)
    )
    assert sorted(before) == sorted(after)
    assert before != after


def test_each_stretch_is_widened_by_its_own_self_test() -> None:
    calm = Stretch((short(1.0, 1.0),) * 3, (short(1.0, 1.0),))
    noisy = Stretch((short(1.0, 1.0), short(1.5, 1.5), short(2.0, 2.0)), (short(1.0, 1.0),))
    plain, wide = estimates_of([calm, noisy], "mean_ms")
    assert plain[0] == plain[1]
    assert (wide[1].high or 0) > 1.3 > (wide[0].high or 0)


def test_a_short_measurement_has_five_blocks(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path).create()
    found = subject(models.save("mlp", tmp_path), workspace, short_policy(0.25), "fake:noise=0.1")
    (stretch,) = measure(found.session(), found.candidate, 4, 10)
    assert [len(one.blocks) for one in stretch.shorts] == [5] * 4
    assert len(stretch.self_test) == 6
