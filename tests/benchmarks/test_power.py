from collections.abc import Generator, Sequence
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from benchmarks.chain import save_chain
from benchmarks.power import Difference, Machine, by_finals, by_singles, count, simulated
from engines.artifacts.workspace import Workspace


def attempts(outcomes: Sequence[bool]) -> Generator[bool, None, None]:
    yield from outcomes


@pytest.mark.parametrize(
    ("outcomes", "curtail", "said", "enough"),
    [
        ([True] * 19 + [False], False, "19 of 20", True),
        ([True] * 18 + [False] * 2, False, "18 of 20", False),
        ([False, True, False] + [True] * 17, True, "1 of 3", False),
        ([False] + [True] * 19, True, "19 of 20", True),
    ],
)
def test_what_is_found_often_enough(outcomes: list[bool], curtail: bool, said: str, enough: bool) -> None:
    found = count(attempts(outcomes), 20, curtail=curtail)
    assert str(found) == said
    assert found.is_enough is enough


def test_what_is_not_attempted_is_not_counted() -> None:
    assert str(count(attempts([]), 0, curtail=True)) == "-"


def difference(folder: Path, share: str) -> Difference:
    quiet = Machine(noise=0.001, run_noise=0.0002, target=0.01)
    return next(one for one in simulated(quiet, 0.1, Workspace(folder).create()) if one.what == share)


def test_a_great_difference_is_found_and_a_tiny_one_is_not(tmp_path: Path) -> None:
    for share, is_found in (("5.0%", True), ("0.1%", False)):
        of = difference(tmp_path, share)
        singles, held = by_singles(of, 1), by_finals(of, keep=True)
        assert next(singles) is is_found
        if is_found:
            assert next(held)
        singles.close()
        held.close()


def test_a_chain_keeps_the_norm_however_long_it_is(tmp_path: Path) -> None:
    path = save_chain(tmp_path, 50, rows=4, width=16)
    values = np.random.default_rng(0).normal(size=(4, 16)).astype(np.float32)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"value_0": values})
    assert np.linalg.norm(found) == pytest.approx(np.linalg.norm(values), rel=1e-4)
