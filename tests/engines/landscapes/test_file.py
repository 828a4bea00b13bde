import errno
import gzip
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.core.errors import UserError
from engines.core.results import Artifact, Block, Evaluation, Measurement
from engines.core.values import Candidate, Settings
from engines.landscapes.file import QUANTILES, evaluation_of, latencies, load, run_of, save
from engines.landscapes.truths import truths, value_of
from engines.statistics.estimates import latency, median, throughput
from tests.landscapes import BASELINE, FLAT, SPREAD, failing, landscape, run, workload


def test_a_landscape_is_read_as_it_was_written(tmp_path: Path) -> None:
    given = landscape(workload(tmp_path), [run(0, 0, 4.0, 4.2), failing(4, "graph", 1.5)])
    save(tmp_path / "new" / "l.json.gz", given)
    found = load(tmp_path / "new" / "l.json.gz")
    assert found == given
    assert found.workload.model.file.where == ""


def test_the_same_landscape_has_the_same_bytes_and_no_paths(tmp_path: Path) -> None:
    given = landscape(workload(tmp_path), [run(0, 0, 4.0)])
    for name in ("one", "other"):
        save(tmp_path / name, given)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    assert str(tmp_path).encode() not in gzip.decompress((tmp_path / "one").read_bytes())


def test_a_landscape_that_cannot_be_written_leaves_the_older_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = landscape(workload(tmp_path), [run(0, 0, 4.0)])
    file = tmp_path / "l"
    save(file, older)
    kept = file.read_bytes()

    def full(self: Path, *_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="No space"):
        save(file, landscape(workload(tmp_path), [run(0, 0, 5.0)]))
    assert file.read_bytes() == kept
    assert not list(tmp_path.glob(".unfinished*"))


def test_measured_numbers_have_six_digits_and_settings_all_of_theirs(tmp_path: Path) -> None:
    given = landscape(workload(tmp_path), [run(0, 0, 1.23456789)])
    exact = replace(given.dimensions[1], choices=(0, 0.123456789))
    save(tmp_path / "l", replace(given, dimensions=(given.dimensions[0], exact, given.dimensions[2])))
    found = load(tmp_path / "l")
    assert found.runs[0].values == (1.23457,)
    assert found.dimensions[1].choices[1] == 0.123456789


@pytest.mark.parametrize(
    "content",
    [b"no gzip", gzip.compress(b'{"date": 3}'), gzip.compress(b"x")[:-9]],
    ids=["no gzip", "something else", "cut short"],
)
def test_file_that_is_not_a_landscape_is_a_user_error(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "l").write_bytes(content)
    with pytest.raises(UserError, match="landscape"):
        load(tmp_path / "l")


MISFITS: dict[str, dict[str, Any]] = {
    "it has no candidates": {"points": ()},
    "its baseline is of another space": {"dimensions": ()},
    "candidate 0 is not in its space": {"points": ((0, 0),)},
    "candidate 1 is not in its space": {"points": ((0, 0, 0), ())},
    "candidate 2 is not in its space": {"points": ((0, 0, 0), (1, 0, 0), (3, 0, 0))},
    "candidate 0 is not the baseline": {"points": ((1, 0, 0),)},
    "the baseline has no run": {"runs": (run(1, 0, 4.0),)},
}


@pytest.mark.parametrize("why", MISFITS)
def test_a_landscape_whose_parts_do_not_fit_is_the_users_mistake(why: str, tmp_path: Path) -> None:
    given = landscape(workload(tmp_path), [run(0, 0, 4.0)])
    save(tmp_path / "l", replace(given, **MISFITS[why]))
    with pytest.raises(UserError, match="is not a valid landscape") as refused:
        load(tmp_path / "l")
    assert refused.value.message.endswith(f": {why}")


WHOLE = run(0, 0, 4.0, 4.2)


@pytest.mark.parametrize(
    "changed",
    [
        *({"candidate": 6}, {"candidate": -1}, {"round": -1}, {"graph": 2}, {"graph": -2}, {"engine": 2}),
        *({"values": ()}, {"values": (4.0,)}, {"counts": (10,)}, {"counts": (10, 0)}, {"spans": (0.0, 0.04)}),
        *({"values": (-4.0, 4.2)}, {"shape": FLAT[1:]}, {"values": (), "counts": (), "spans": ()}),
    ],
    ids=str,
)
def test_a_run_that_is_not_whole_or_of_nothing_is_the_users_mistake(
    changed: dict[str, Any], tmp_path: Path
) -> None:
    given = landscape(workload(tmp_path), [WHOLE, replace(WHOLE, **changed)])
    save(tmp_path / "l", given)
    with pytest.raises(UserError, match="is not a valid landscape: run 1 "):
        load(tmp_path / "l")


def test_a_run_that_failed_need_not_have_come_far(tmp_path: Path) -> None:
    given = landscape(
        workload(tmp_path), [failing(0, "graph", 1.0), replace(failing(1, "load", 1.0), graph=1)]
    )
    save(tmp_path / "l", given)
    assert len(load(tmp_path / "l").runs) == 2


def test_a_file_that_is_not_there_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        load(tmp_path / "none")


def test_candidates_are_points_and_a_baseline_may_lie_outside(tmp_path: Path) -> None:
    given = landscape(workload(tmp_path), [])
    assert given.candidate(0) == BASELINE
    assert given.candidate(2) == Candidate(
        Settings(precision="fp16"), Settings(effort=0), Settings(streams=2)
    )
    outside = replace(BASELINE, build=Settings(effort=9))
    assert replace(given, baseline=outside, points=((),)).candidate(0) == outside


def _evaluation(seed: int, count: int = 400) -> Evaluation:
    random = np.random.default_rng(seed)
    samples = [3.0 * np.exp(random.normal(0, 0.05, count)) for _ in range(6)]
    blocks = tuple(Block(block, float(block.sum()) / 1e3, 0.0) for block in samples)
    made = Artifact("d", 1, 5.0, reused=False)
    seconds = {"graph": 1.0, "build": 5.0, "load": 2.0, "measure": 3.0}
    return Evaluation(
        BASELINE,
        graph=made,
        engine=made,
        measurement=Measurement(blocks, 2, 1, 0.0, 0, converged=True),
        stage_seconds=seconds,
    )


def test_a_run_shows_what_the_measurement_showed(tmp_path: Path) -> None:
    evaluation = _evaluation(1)
    assert evaluation.measurement is not None
    given = landscape(workload(tmp_path), [run_of(evaluation, 0, 0, 0, 0)])
    found = evaluation_of(given, given.runs[0]).measurement
    assert found is not None
    for of in (lambda one: latency(one, median), throughput):
        assert of(found).value == pytest.approx(of(evaluation.measurement).value, rel=0.005)
    assert value_of(given, given.runs[0], "p99_ms") == pytest.approx(
        np.percentile(np.concatenate([block.latency_ms for block in evaluation.measurement.blocks]), 99),
        rel=0.02,
    )


def test_a_run_has_the_seconds_of_its_stages_but_not_of_making(tmp_path: Path) -> None:
    evaluation = _evaluation(1)
    assert run_of(evaluation, 0, 0, 0, 0).seconds == {"load": 2.0, "measure": 3.0}
    assert "build" in run_of(replace(evaluation, engine=None), 0, 0, 0).seconds


def test_disturbed_blocks_are_left_out_while_there_are_enough_others() -> None:
    evaluation = _evaluation(2)
    assert evaluation.measurement is not None
    first, *others = evaluation.measurement.blocks
    blocks = (replace(first, disturbed="others took the cores"), *others)
    disturbed = replace(evaluation, measurement=replace(evaluation.measurement, blocks=blocks))
    assert len(run_of(disturbed, 0, 0).values) == 5


@pytest.mark.parametrize("count", [1, 2, 9, 500])
def test_latencies_have_the_median_and_the_shape(count: int) -> None:
    random = np.random.default_rng(3)
    for at in (None, random.random(count)):
        found = latencies(8.0, count, SPREAD, at)
        assert len(found) == count
        assert np.median(found) == pytest.approx(8.0)
    many = latencies(8.0, 100_000, SPREAD, random.random(100_000))
    assert np.quantile(many, QUANTILES[2:-2]) / 8 == pytest.approx(SPREAD[2:-2], rel=0.01)


def test_truths_remove_the_level_of_each_pass(tmp_path: Path) -> None:
    """The second pass is 10 % slow: who was only measured there is no slower for it."""
    true = [4.0, 2.0, 1.9, 3.0]
    runs = [run(of, 0, true[of]) for of in (0, 1, 3)]
    runs += [run(of, 1, 1.1 * true[of]) for of in (0, 1, 2)]
    found = truths(landscape(workload(tmp_path), [*runs, failing(4, "build", 1.0)]))
    assert found[:4] == pytest.approx(true)
    assert found[4:] == (None, None)


def test_truths_of_two_runs_lie_between_them(tmp_path: Path) -> None:
    runs = [run(of, number, value) for number in (0, 1) for of, value in enumerate((4.0, 2.0 + number))]
    found = truths(landscape(workload(tmp_path), runs))
    assert found[0] is not None
    assert found[1] is not None
    assert found[1] / found[0] == pytest.approx((2.0 * 3.0) ** 0.5 / 4.0)


def test_a_disturbed_run_does_not_move_the_truth(tmp_path: Path) -> None:
    values = ((4.0, 2.0), (4.0, 2.0), (4.0, 9.0))
    runs = [run(of, number, value) for number, both in enumerate(values) for of, value in enumerate(both)]
    found = truths(landscape(workload(tmp_path), [*runs, *(run(2, number, 3.0) for number in range(3))]))
    assert found[:3] == pytest.approx((4.0, 2.0, 3.0))


def test_nothing_measured_has_no_truth(tmp_path: Path) -> None:
    assert set(truths(landscape(workload(tmp_path), [failing(0, "build", 1.0)]))) == {None}


def test_throughput_of_a_run_counts_the_batch(tmp_path: Path) -> None:
    given = landscape(workload(tmp_path), [run(0, 0, 4.0, shape=FLAT)])
    assert value_of(given, given.runs[0], "throughput") == pytest.approx(10 * 2 / 0.04)
