import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engines.core.errors import UserError
from engines.machine import gpu
from engines.machine.device import Device, this_host

runtime = pytest.importorskip("cuda.bindings.runtime")
pynvml = pytest.importorskip("pynvml")

GIB = 1 << 30


@pytest.fixture
def nvml(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What NVML and CUDA answer of two GPUs that they count the other way round; to be changed by a test."""
    answers: dict[str, Any] = {
        "nvmlInit": lambda: None,
        "nvmlDeviceGetCount": lambda: 2,
        "nvmlDeviceGetHandleByPciBusId": lambda bus: bus,
        "nvmlDeviceGetName": lambda handle: f"GPU at {handle}",
        "nvmlDeviceGetIndex": lambda handle: 3,
        "nvmlDeviceGetUUID": lambda handle: f"GPU-{handle}",
        "nvmlDeviceGetMemoryInfo": lambda handle: SimpleNamespace(total=80 * GIB),
        "nvmlSystemGetDriverVersion": lambda: b"580.95.05",
        "nvmlSystemGetCudaDriverVersion": lambda: 12080,
        "nvmlDeviceGetEnforcedPowerLimit": lambda handle: 699_600,
        "nvmlDeviceGetMaxClockInfo": lambda handle, kind: 1980,
        "nvmlDeviceGetMigMode": _unsupported,
        "nvmlDeviceGetComputeRunningProcesses": lambda handle: [],
    }
    for name in tuple(answers):
        monkeypatch.setattr(pynvml, name, lambda *arguments, name=name: answers[name](*arguments))
    success = runtime.cudaError_t.cudaSuccess
    monkeypatch.setattr(runtime, "cudaGetDeviceCount", lambda: (success, 2))
    places = (b"0000:5E:00.0\0\0", b"0000:1A:00.0\0\0")
    monkeypatch.setattr(runtime, "cudaDeviceGetPCIBusId", lambda _, index: (success, places[index]))
    monkeypatch.setattr(pytest.importorskip("cuda.core"), "Device", _Device)
    for name in ("CUDA_VISIBLE_DEVICES", "CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"):
        monkeypatch.delenv(name, raising=False)
    return answers


class _Device:
    properties = SimpleNamespace(multiprocessor_count=132)
    compute_capability = (9, 0)

    def __init__(self, index: int) -> None:
        assert index in (0, 1)


def _unsupported(*_: object) -> None:
    raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)


@pytest.mark.usefixtures("nvml")
def test_a_gpu_is_one_device_of_this_host_by_its_own_name_and_nvmls_number() -> None:
    device = gpu.device(1)
    assert device == Device(this_host(), "GPU-0000:1A:00.0", "gpu", "GPU at 0000:1A:00.0", 3)
    assert device.name == "GPU-0000:1A:00.0"


def test_a_gpu_is_described_by_nvml_under_the_number_that_cuda_gives_it(nvml: dict[str, Any]) -> None:
    machine = gpu.describe(1, {"tensorrt": "11.4"}, "Linux")
    assert machine.processor == "GPU at 0000:1A:00.0"
    assert (machine.cores, machine.memory_bytes, machine.driver) == (132, 80 * GIB, "580.95.05")
    assert machine.libraries == {"tensorrt": "11.4", "cuda": "12.8"}
    assert machine.limits == {
        "compute_capability": "9.0",
        "power_limit_w": 700,
        "max_sm_clock_mhz": 1980,
        "max_memory_clock_mhz": 1980,
    }


@pytest.mark.parametrize("index", [2, -1])
def test_a_number_that_no_gpu_has_is_the_users_mistake(nvml: dict[str, Any], index: int) -> None:
    with pytest.raises(UserError, match=f"there is no GPU {index}") as caught:
        gpu.describe(index, {}, "")
    assert caught.value.hint == "There are 2 GPUs, numbered from 0."


def test_a_driver_that_cuda_cannot_use_is_named(
    nvml: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = (runtime.cudaError_t.cudaErrorInsufficientDriver, None)
    monkeypatch.setattr(runtime, "cudaGetDeviceCount", lambda: refusal)
    with pytest.raises(UserError, match="CUDA says cudaErrorInsufficientDriver"):
        gpu.describe(0, {}, "")


def test_a_machine_without_nvml_has_no_gpu(nvml: dict[str, Any]) -> None:
    def missing() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    assert gpu.has_gpu()
    nvml["nvmlInit"] = missing
    assert not gpu.has_gpu()
    with pytest.raises(UserError, match="no NVIDIA GPU can be used: NVML Shared Library Not Found") as caught:
        gpu.describe(0, {}, "")
    assert "--backend onnxruntime" in caught.value.hint


def test_a_driver_without_a_gpu_is_none(nvml: dict[str, Any]) -> None:
    nvml["nvmlDeviceGetCount"] = lambda: 0
    assert not gpu.has_gpu()
    with pytest.raises(UserError, match="there is none"):
        gpu.describe(0, {}, "")


@pytest.mark.parametrize(("visible", "there"), [("", False), ("-1", False), ("0", True), ("GPU-1a2b", True)])
def test_a_gpu_that_is_hidden_from_cuda_is_not_there(
    nvml: dict[str, Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, visible: str, *, there: bool
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpu.has_gpu() is there
    (tmp_path / "nvidiactl").touch()
    assert gpu.may_have_gpu(tmp_path) is there


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shows GPUs as files")
@pytest.mark.parametrize(("device", "there"), [("nvidiactl", True), ("dxg", True), ("null", False)])
def test_a_machine_without_a_gpus_device_file_need_not_be_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, device: str, *, there: bool
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    (tmp_path / device).touch()
    assert gpu.may_have_gpu(tmp_path) is there


@pytest.mark.parametrize(
    ("module", "package"),
    [("pynvml", "nvidia-ml-py"), ("cuda.bindings.runtime", "cuda-bindings"), ("cuda.core", "cuda-core")],
)
def test_a_missing_package_gives_the_command_that_installs_it(
    nvml: dict[str, Any], monkeypatch: pytest.MonkeyPatch, module: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UserError, match=f"the package '{package}' is not installed") as caught:
        gpu.describe(0, {}, "")
    assert caught.value.hint == f"Install it: pip install {package}."
