from types import SimpleNamespace
from typing import Any

import pytest

from engines.machine import gpu

pynvml = pytest.importorskip("pynvml")

Answers = dict[str, Any]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> Answers:
    """What NVML says of a GPU; an error of it is raised."""
    found: Answers = {
        "nvmlDeviceGetClockInfo": {pynvml.NVML_CLOCK_SM: 1755, pynvml.NVML_CLOCK_MEM: 3201},
        "nvmlDeviceGetTemperature": {pynvml.NVML_TEMPERATURE_GPU: 54},
        "nvmlDeviceGetPowerUsage": 580_000,
        "nvmlDeviceGetFieldValues": {
            (pynvml.NVML_FI_DEV_POWER_INSTANT,): _field(pynvml.NVML_SUCCESS, 612_345)
        },
        "nvmlDeviceGetCurrentClocksEventReasons": 0,
        "nvmlDeviceGetCurrentClocksThrottleReasons": 0,
    }
    for name in found:
        monkeypatch.setattr(pynvml, name, lambda handle, *which, name=name: _answer(found[name], *which))
    monkeypatch.setattr(gpu, "open_gpu", lambda index: (pynvml, f"handle {index}"))
    return found


def _field(outcome: int, milliwatts: int) -> list[Any]:
    return [SimpleNamespace(nvmlReturn=outcome, value=SimpleNamespace(uiVal=milliwatts))]


def _answer(given: Any, *which: Any) -> Any:
    if isinstance(given, Exception):
        raise given
    if not which:
        return given
    return given[tuple(which[0]) if isinstance(which[0], list) else which[0]]


def test_a_gpu_is_read_in_the_units_of_the_names(answers: Answers) -> None:
    reading = gpu.probe(0).read()
    assert reading.values == {
        "clock_mhz": 1755,
        "memory_clock_mhz": 3201,
        "temperature_c": 54,
        "power_w": pytest.approx(612.345),
    }
    assert reading.counters == {}
    assert reading.throttled_by == ()


def test_power_falls_back_to_the_last_second(answers: Answers) -> None:
    answers["nvmlDeviceGetFieldValues"] = {
        (pynvml.NVML_FI_DEV_POWER_INSTANT,): _field(pynvml.NVML_ERROR_NOT_SUPPORTED, 0)
    }
    assert gpu.probe(0).read().values["power_w"] == pytest.approx(580.0)


@pytest.mark.parametrize(
    ("constant", "name"),
    [
        ("ApplicationsClocksSetting", "applications_clocks_setting"),
        ("SwPowerCap", "sw_power_cap"),
        ("HwSlowdown", "hw_slowdown"),
        ("SyncBoost", "sync_boost"),
        ("SwThermalSlowdown", "sw_thermal_slowdown"),
        ("HwThermalSlowdown", "hw_thermal_slowdown"),
        ("HwPowerBrakeSlowdown", "hw_power_brake_slowdown"),
        ("DisplayClockSetting", "display_clock_setting"),
    ],
)
def test_each_reason_has_nvmls_name(answers: Answers, constant: str, name: str) -> None:
    answers["nvmlDeviceGetCurrentClocksEventReasons"] = getattr(pynvml, f"nvmlClocksEventReason{constant}")
    assert gpu.probe(0).read().throttled_by == (name,)


def test_an_idle_gpu_is_not_throttled(answers: Answers) -> None:
    answers["nvmlDeviceGetCurrentClocksEventReasons"] = pynvml.nvmlClocksEventReasonGpuIdle
    assert gpu.probe(0).read().throttled_by == ()


def test_several_reasons_are_all_told(answers: Answers) -> None:
    answers["nvmlDeviceGetCurrentClocksEventReasons"] = 0x1 | 0x4 | 0x40
    assert gpu.probe(0).read().throttled_by == ("sw_power_cap", "hw_thermal_slowdown")


def test_an_old_driver_is_asked_by_the_old_name(answers: Answers) -> None:
    missing = pynvml.NVMLError(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND)
    answers["nvmlDeviceGetCurrentClocksEventReasons"] = missing
    answers["nvmlDeviceGetCurrentClocksThrottleReasons"] = 0x20
    assert gpu.probe(0).read().throttled_by == ("sw_thermal_slowdown",)


def test_unsupported_gpu_queries_are_left_out(answers: Answers) -> None:
    for name in ("nvmlDeviceGetFieldValues", "nvmlDeviceGetTemperature"):
        answers[name] = pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
    answers["nvmlDeviceGetCurrentClocksEventReasons"] = pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
    probe = gpu.probe(0)
    assert set(probe.read().values) == {"clock_mhz", "memory_clock_mhz"}
    assert probe.read().throttled_by == ()
