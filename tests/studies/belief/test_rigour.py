import pytest

from studies.belief.rigour import Rigour, fitting
from studies.core.objectives import parse_objectives


@pytest.mark.parametrize(
    ("objectives", "self_test", "racing", "finalists"),
    [
        (["latency_ms"], 5, True, 4),
        (["throughput"], 5, True, 4),
        # the blocks that a race looks at are warm
        (["cold_ms"], 5, False, 4),
        # there is no one winner to measure again
        (["latency_ms", "error"], 5, False, 0),
        # the same engine has the same size each time
        (["engine_bytes"], 0, False, 0),
        (["build_seconds"], 0, False, 0),
        (["error", "latency_ms"], 0, False, 0),
    ],
)
def test_only_what_can_tell_something_of_the_objectives_is_measured_more_than_once(
    objectives: list[str], self_test: int, racing: bool, finalists: int
) -> None:
    found = fitting(Rigour(), parse_objectives(objectives))
    assert (found.self_test_runs, found.racing, found.finalists) == (self_test, racing, finalists)
    assert (found.anchor_every > 0) == (self_test > 0)


def test_what_was_turned_off_stays_off() -> None:
    off = Rigour(self_test_runs=0, anchor_every=0, racing=False, finalists=0)
    assert fitting(off, parse_objectives(["latency_ms"])) == off


def test_without_a_self_test_the_baseline_is_no_anchor_either() -> None:
    assert fitting(Rigour(self_test_runs=0), parse_objectives(["latency_ms"])).anchor_every == 0
