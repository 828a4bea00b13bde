"""The GPU as NVML describes it: what a result belongs to, and what may disturb a measurement."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from engines.errors import UserError
from engines.values import Machine, Value

NO_GPU = "no NVIDIA GPU can be used"


def describe(index: int, libraries: Mapping[str, str], system: str) -> Machine:
    """The GPU of this index; raises UserError when there is none."""
    from cuda.core import Device

    nvml, handle = open_nvml(index)
    device = Device(index)
    properties = device.properties
    limits: dict[str, Value] = {"compute_capability": ".".join(map(str, device.compute_capability))}
    for name, read in _LIMITS.items():
        with suppress(nvml.NVMLError):
            limits[name] = read(nvml, handle)
    return Machine(
        kind="gpu",
        processor=_text(nvml.nvmlDeviceGetName(handle)),
        cores=int(properties.multiprocessor_count),
        memory_bytes=int(nvml.nvmlDeviceGetMemoryInfo(handle).total),
        system=system,
        driver=_text(nvml.nvmlSystemGetDriverVersion()),
        libraries={**libraries, "cuda": _cuda_version(nvml)},
        limits=limits,
    )


def disturbances(index: int) -> tuple[str, ...]:
    """What shares this GPU or slows it down, a line each."""
    import os

    nvml, handle = open_nvml(index)
    found = []
    with suppress(nvml.NVMLError):
        others = [
            one.pid for one in nvml.nvmlDeviceGetComputeRunningProcesses(handle) if one.pid != os.getpid()
        ]
        if others:
            found.append(f"{len(others)} other processes use this GPU: measurements will vary")
    with suppress(nvml.NVMLError):
        if nvml.nvmlDeviceGetMigMode(handle)[0]:
            found.append("MIG is on: results belong to this slice, not to the whole GPU")
    if os.environ.get("CUDA_MPS_PIPE_DIRECTORY") or os.environ.get("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"):
        found.append("MPS is on: results belong to this share of the GPU")
    return tuple(found)


def open_nvml(index: int) -> tuple[Any, Any]:
    """NVML and the handle of a GPU; raises UserError."""
    try:
        import pynvml
    except ImportError as error:
        raise UserError(
            "the package 'nvidia-ml-py' is not installed", "Install it: pip install nvidia-ml-py."
        ) from error
    try:
        pynvml.nvmlInit()
        return pynvml, pynvml.nvmlDeviceGetHandleByIndex(index)
    except pynvml.NVMLError as error:
        raise UserError(f"{NO_GPU}: {error}", "Check nvidia-smi, or choose --backend onnxruntime.") from error


def has_gpu() -> bool:
    """Whether NVML sees a GPU; costs a few milliseconds and loads no CUDA."""
    try:
        open_nvml(0)
    except UserError:
        return False
    return True


_LIMITS: Mapping[str, Any] = {
    "power_limit_w": lambda nvml, handle: round(nvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1000),
    "max_sm_clock_mhz": lambda nvml, handle: nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_SM),
    "max_memory_clock_mhz": lambda nvml, handle: nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_MEM),
    "mig": lambda nvml, handle: bool(nvml.nvmlDeviceGetMigMode(handle)[0]),
}


def _cuda_version(nvml: Any) -> str:
    version = int(nvml.nvmlSystemGetCudaDriverVersion())
    return f"{version // 1000}.{version % 1000 // 10}"


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
