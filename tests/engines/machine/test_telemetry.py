import pytest

from engines.machine.telemetry import DISTURBING, NoProbe, QueryProbe, Reading, between, disturbance


def _reading(at: float, *throttled_by: str, energy_mj: float | None = None, **values: float) -> Reading:
    counters = {} if energy_mj is None else {"energy_mj": energy_mj}
    return Reading(at, values, counters, throttled_by)


def test_states_are_the_mean_of_both_readings_and_counters_the_difference() -> None:
    before = Reading(1.0, {"clock_mhz": 1000.0}, {"waited_seconds": 0.5})
    after = Reading(3.0, {"clock_mhz": 1400.0}, {"waited_seconds": 0.75})
    assert between(before, after) == {"clock_mhz": 1200.0, "waited_seconds": 0.25}


def test_power_is_energy_by_time_where_energy_is_counted() -> None:
    before = _reading(10.0, energy_mj=1000.0, power_w=90.0)
    after = _reading(12.0, energy_mj=501_000.0, power_w=110.0)
    assert between(before, after) == {"energy_mj": 500_000.0, "power_w": 250.0}


def test_energy_is_power_by_time_where_it_is_not() -> None:
    before, after = _reading(10.0, power_w=90.0), _reading(12.0, power_w=110.0)
    assert between(before, after) == {"energy_mj": 200_000.0, "power_w": 100.0}


def test_a_counter_that_stood_still_counts_nothing() -> None:
    before, after = (_reading(at, energy_mj=1000.0, power_w=90.0) for at in (10.0, 12.0))
    assert between(before, after) == {"energy_mj": 180_000.0, "power_w": 90.0}


def test_value_of_only_one_reading_is_left_out() -> None:
    assert between(_reading(0.0), _reading(1.0, energy_mj=5.0, clock_mhz=5.0)) == {}
    assert between(_reading(0.0, energy_mj=5.0, clock_mhz=5.0), _reading(1.0)) == {}


def test_every_reason_at_either_end_is_told() -> None:
    found = between(_reading(0.0, "sw_power_cap"), _reading(1.0, "hw_slowdown", "sw_power_cap"))
    assert found == {"throttled_sw_power_cap": 1.0, "throttled_hw_slowdown": 1.0}


@pytest.mark.parametrize("reason", DISTURBING)
def test_clocks_that_the_hardware_holds_down_disturb_a_block(reason: str) -> None:
    for before, after in ((_reading(0.0, reason), _reading(1.0)), (_reading(0.0), _reading(1.0, reason))):
        assert disturbance(before, after) == f"throttled: {reason}"


@pytest.mark.parametrize("reason", ["sw_power_cap", "applications_clocks_setting", "sync_boost"])
def test_a_limit_that_the_whole_measurement_lives_under_does_not(reason: str) -> None:
    assert disturbance(_reading(0.0, reason), _reading(1.0, reason)) == ""


def _waiting(at: float, seconds: float, **values: float) -> Reading:
    return Reading(at, values, {"waited_seconds": seconds})


@pytest.mark.parametrize(
    ("free_cores", "waited", "expected"),
    [(0, 0.21, "others took the cores"), (0, 0.19, ""), (1, 0.5, "others took the cores"), (-1, 5.0, "")],
)
def test_waiting_for_cores_disturbs_only_threads_that_all_have_one(
    free_cores: int, waited: float, expected: str
) -> None:
    before, after = (
        _waiting(0.0, 1.0, free_cores=free_cores),
        _waiting(1.0, 1.0 + waited, free_cores=free_cores),
    )
    assert disturbance(before, after) == expected


def test_waiting_says_nothing_where_the_number_of_threads_is_not_known() -> None:
    assert disturbance(_waiting(0.0, 1.0), _waiting(1.0, 2.0)) == ""


def test_a_machine_that_says_nothing_is_never_disturbed() -> None:
    before, after = NoProbe().read(), NoProbe().read()
    assert between(before, after) == {}
    assert disturbance(before, after) == ""


def test_a_query_that_fails_is_left_out_and_not_asked_again() -> None:
    asked = []

    def refused() -> float:
        asked.append("refused")
        raise OSError("not here")

    probe = QueryProbe({"clock_mhz": lambda: 1500.0, "power_w": refused}, {"energy_mj": lambda: 7.0})
    readings = [probe.read() for _ in range(3)]
    assert [reading.values for reading in readings] == [{"clock_mhz": 1500.0}] * 3
    assert [reading.counters for reading in readings] == [{"energy_mj": 7.0}] * 3
    assert asked == ["refused"]
    assert readings[0].at < readings[1].at < readings[2].at


def test_reasons_that_cannot_be_had_are_none() -> None:
    def refused() -> tuple[str, ...]:
        raise LookupError

    assert QueryProbe({}, {}, throttled_by=refused, failures=(LookupError,)).read().throttled_by == ()
    assert QueryProbe({}, {}, throttled_by=lambda: ("sync_boost",)).read().throttled_by == ("sync_boost",)


def test_a_mistake_of_our_own_in_a_query_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        QueryProbe({"clock_mhz": lambda: 1 / 0}, {}).read()
