import pytest

from studies.belief.measurement_plan import MeasurementPlan, fitting
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
def test_fitting_drops_parts_that_do_not_apply_to_the_objectives(
    objectives: list[str], self_test: int, racing: bool, finalists: int
) -> None:
    found = fitting(MeasurementPlan(), parse_objectives(objectives))
    assert (found.self_test_runs, found.racing, found.finalists) == (self_test, racing, finalists)
    assert (found.anchor_every > 0) == (self_test > 0)


def test_fitting_keeps_parts_turned_off() -> None:
    off = MeasurementPlan(self_test_runs=0, anchor_every=0, racing=False, finalists=0)
    assert fitting(off, parse_objectives(["latency_ms"])) == off


def test_no_anchors_without_a_self_test() -> None:
    assert fitting(MeasurementPlan(self_test_runs=0), parse_objectives(["latency_ms"])).anchor_every == 0
