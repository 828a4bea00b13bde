"""Conditions of a GPU, over what NVML would answer of a quiet one."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engines.machine import gpu, gpu_conditions
from engines.machine.conditions import Condition

pynvml = pytest.importorskip("pynvml")

MIB = 1 << 20
OURS, OTHER = "GPU-0", "GPU-1"


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The answers of NVML on a quiet GPU beside an idle one; to be changed by a test."""
    answers: dict[str, Any] = {
        "DeviceGetClockInfo": 345,
        "DeviceGetMaxClockInfo": 1980,
        "DeviceGetEnforcedPowerLimit": 699_600,
        "DeviceGetPowerManagementDefaultLimit": 700_000,
        "DeviceGetCurrentClocksEventReasons": pynvml.nvmlClocksThrottleReasonGpuIdle,
        "DeviceGetTemperature": 34,
        "DeviceGetMarginTemperature": 53,
        "DeviceGetComputeRunningProcesses": [],
        "DeviceGetGraphicsRunningProcesses": [],
        "DeviceGetMemoryInfo": SimpleNamespace(used=3 * MIB),
        "DeviceGetUtilizationRates": lambda handle: SimpleNamespace(gpu=0),
        "DeviceGetDisplayActive": 0,
        "DeviceGetPersistenceMode": 1,
        "DeviceGetMigMode": [0, 0],
        "DeviceGetRemappedRows": (0, 0, 0, 0),
        "DeviceGetCurrPcieLinkWidth": 16,
        "DeviceGetMaxPcieLinkWidth": 16,
        "DeviceGetComputeMode": pynvml.NVML_COMPUTEMODE_DEFAULT,
        "DeviceGetVirtualizationMode": pynvml.NVML_GPU_VIRTUALIZATION_MODE_NONE,
        "DeviceGetCount": 2,
        "DeviceGetUUID": lambda handle: handle,
        "DeviceGetHandleByIndex": lambda index: (OURS, OTHER)[index],
    }

    def answer(name: str, *arguments: Any) -> Any:
        found = answers[name]
        if isinstance(found, Exception):
            raise found
        return found(*arguments) if callable(found) else found

    for name in answers:
        monkeypatch.setattr(pynvml, f"nvml{name}", lambda *of, name=name, **_: answer(name, *of))
    monkeypatch.setattr(gpu, "open_gpu", lambda index: (pynvml, OURS))
    for variable in ("CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"):
        monkeypatch.delenv(variable, raising=False)
    return answers


@pytest.fixture
def states(nvml: dict[str, Any], tmp_path: Path) -> Any:
    """Reads the conditions anew, by name."""

    def read() -> dict[str, Condition]:
        return {one.name: one for one in gpu_conditions.states(0, tmp_path)}

    return read


UNSUPPORTED = pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)


def _process(pid: int) -> SimpleNamespace:
    return SimpleNamespace(pid=pid)


def test_idle_gpu_is_fine_except_for_what_nvml_cannot_report(states: Any) -> None:
    found = states()
    clocks = found.pop("GPU clocks")
    assert {one.verdict for one in found.values()} == {"fine"}, found
    assert clocks.verdict == "unknown"
    assert clocks.found == "345 of 1,980 MHz; NVML does not report whether they are locked"
    assert "-lgc" in clocks.advice


@pytest.mark.parametrize(
    ("name", "changed", "found"),
    [
        ("GPU power cap", {"DeviceGetEnforcedPowerLimit": 500_000}, "500 W, below the default of 700 W"),
        ("GPU throttling", {"DeviceGetCurrentClocksEventReasons": 0b1100100}, "power cap, heat"),
        ("GPU temperature", {"DeviceGetTemperature": 84, "DeviceGetMarginTemperature": 3},
         "84 °C, 3 °C below the slowdown"),
        ("others on the GPU", {"DeviceGetComputeRunningProcesses": [_process(7), _process(8)],
                               "DeviceGetGraphicsRunningProcesses": [_process(8)]}, "2 seen, 3 MiB in use"),
        ("others on the GPU", {"DeviceGetMemoryInfo": SimpleNamespace(used=5000 * MIB)},
         "none seen, 5,000 MiB in use"),
        ("GPU in use", {"DeviceGetUtilizationRates": lambda _: SimpleNamespace(gpu=80)},
         "80 % of the time, before the tuner uses it"),
        ("display", {"DeviceGetDisplayActive": 1}, "on this GPU"),
        ("persistence mode", {"DeviceGetPersistenceMode": 0}, "off"),
        ("MIG", {"DeviceGetMigMode": [1, 1]}, "on"),
        ("GPU memory repair", {"DeviceGetRemappedRows": (1, 0, 1, 0)}, "pending"),
        ("GPU memory repair", {"DeviceGetRemappedRows": (1, 0, 1, 1)}, "failed"),
        ("PCIe width", {"DeviceGetCurrPcieLinkWidth": 8}, "x8 of x16"),
        ("compute mode", {"DeviceGetComputeMode": pynvml.NVML_COMPUTEMODE_PROHIBITED}, "prohibited"),
        ("virtual GPU", {"DeviceGetVirtualizationMode": pynvml.NVML_GPU_VIRTUALIZATION_MODE_VGPU},
         "a share of one"),
        ("other GPUs", {"DeviceGetUtilizationRates": lambda one: SimpleNamespace(gpu=99 * (one == OTHER))},
         "1 of 1 busy"),
    ],
)  # fmt: skip
def test_noisy_condition_has_advice(
    nvml: dict[str, Any], states: Any, name: str, changed: dict[str, Any], found: str
) -> None:
    nvml |= changed
    condition = states()[name]
    assert (condition.verdict, condition.found) == ("noisy", found)
    assert condition.advice.endswith(".")


def test_a_gpu_that_answers_nothing_is_unknown_and_no_error(nvml: dict[str, Any], states: Any) -> None:
    nvml |= dict.fromkeys(nvml, UNSUPPORTED)
    found = states()
    assert found.pop("MPS").verdict == "fine"
    assert (found.pop("MIG").verdict, found.pop("compute mode").verdict) == ("fine", "unknown")
    assert {one.verdict for one in found.values()} == {"unknown"}


def test_queries_that_an_older_nvidia_ml_py_does_not_have_are_unknown(
    nvml: dict[str, Any], states: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(pynvml, "nvmlDeviceGetVirtualizationMode")
    assert states()["virtual GPU"].verdict == "unknown"


def test_older_queries_are_used_on_older_drivers(
    nvml: dict[str, Any], states: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = {
        "nvmlDeviceGetCurrentClocksThrottleReasons": pynvml.nvmlClocksThrottleReasonHwSlowdown,
        "nvmlDeviceGetTemperatureThreshold": 90,
        "nvmlDeviceGetRetiredPagesPendingStatus": 1,
    }
    for name, value in older.items():
        monkeypatch.setattr(pynvml, name, lambda *_, value=value: value)
    newer = ("CurrentClocksEventReasons", "MarginTemperature", "RemappedRows")
    nvml |= {f"DeviceGet{name}": UNSUPPORTED for name in newer}
    found = states()
    assert found["GPU throttling"].found == "hardware slowdown"
    assert found["GPU temperature"].found == "34 °C, 56 °C below the slowdown"
    assert found["GPU memory repair"].found == "pending"


def test_mps_shows_by_its_variables_or_its_server(
    states: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert states()["MPS"].found == "off"
    (tmp_path / "tmp/nvidia-mps").mkdir(parents=True)
    (tmp_path / "tmp/nvidia-mps/control").touch()
    assert states()["MPS"].found == "on, its server runs"
    monkeypatch.setenv("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE", "50")
    assert states()["MPS"].found == "on, by CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"


def test_a_gpu_alone_has_no_busy_neighbours(nvml: dict[str, Any], states: Any) -> None:
    nvml["DeviceGetCount"] = 1
    assert (states()["other GPUs"].verdict, states()["other GPUs"].found) == ("fine", "none")
