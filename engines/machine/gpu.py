"""Describe the GPU with NVML: the machine that a result belongs to, and its telemetry."""

import importlib
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from engines.core.errors import UserError
from engines.core.values import Machine, Value
from engines.machine.device import Device, this_host
from engines.machine.telemetry import QueryProbe

NO_GPU = "no NVIDIA GPU can be used"
NO_GPU_HINT = "Check nvidia-smi, or choose --backend onnxruntime."
# the device files of a GPU: of NVIDIA's driver, of a Jetson, and of Windows in WSL
DEVICES = ("nvidiactl", "nvhost-gpu", "nvgpu", "dxg")


def describe(index: int, libraries: Mapping[str, str], system: str) -> Machine:
    """Return the GPU of this index; raises UserError if there is none."""
    nvml, handle = open_gpu(index)
    device = _load("cuda.core", "cuda-core").Device(index)
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


def device(index: int) -> Device:
    """Return the device with this CUDA index, under NVML's number; raises UserError if there is none."""
    nvml, handle = open_gpu(index)
    name, number = _text(nvml.nvmlDeviceGetName(handle)), int(nvml.nvmlDeviceGetIndex(handle))
    return Device(this_host(), _text(nvml.nvmlDeviceGetUUID(handle)), "gpu", name, number)


def open_gpu(index: int) -> tuple[Any, Any]:
    """Return NVML and its handle of the GPU with this CUDA index; raises UserError if there is none.

    The two count differently: CUDA lists the fastest first, and only those in CUDA_VISIBLE_DEVICES.
    """
    nvml = open_nvml()
    runtime = _load("cuda.bindings.runtime", "cuda-bindings")
    error, count = runtime.cudaGetDeviceCount()
    if error != runtime.cudaError_t.cudaSuccess or not count:
        raise UserError(f"{NO_GPU}: CUDA says {error.name}", NO_GPU_HINT)
    if not 0 <= index < count:
        there = "is one GPU, number 0" if count == 1 else f"are {count} GPUs, numbered from 0"
        raise UserError(f"there is no GPU {index}", f"There {there}.")
    _, bus = runtime.cudaDeviceGetPCIBusId(32, index)
    try:
        return nvml, nvml.nvmlDeviceGetHandleByPciBusId(bus.partition(b"\0")[0].decode())
    except nvml.NVMLError as refusal:
        raise UserError(f"{NO_GPU}: {refusal}", NO_GPU_HINT) from refusal


def name_of(index: int) -> str:
    """Return the name that every process has for the GPU of this index; raises UserError if there is none."""
    nvml, handle = open_gpu(index)
    return _text(nvml.nvmlDeviceGetUUID(handle))


def open_nvml() -> Any:
    """Return NVML, initialised; raises UserError if it sees no GPU."""
    nvml = _load("pynvml", "nvidia-ml-py")
    try:
        nvml.nvmlInit()
        count = nvml.nvmlDeviceGetCount()
    except nvml.NVMLError as error:
        raise UserError(f"{NO_GPU}: {error}", NO_GPU_HINT) from error
    if not count:
        raise UserError(f"{NO_GPU}: there is none", NO_GPU_HINT)
    return nvml


def has_gpu() -> bool:
    """Return whether there is a usable GPU; takes a few milliseconds and does not load CUDA."""
    if _is_hidden():
        return False
    try:
        open_nvml()
    except UserError:
        return False
    return True


def may_have_gpu(devices: Path = Path("/dev")) -> bool:
    """Return whether a GPU may exist, without loading a vendor's library."""
    if _is_hidden():
        return False
    return sys.platform != "linux" or any((devices / name).exists() for name in DEVICES)


def _is_hidden() -> bool:
    return os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1")


_LIMITS: Mapping[str, Any] = {
    "power_limit_w": lambda nvml, handle: round(nvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1000),
    "max_sm_clock_mhz": lambda nvml, handle: nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_SM),
    "max_memory_clock_mhz": lambda nvml, handle: nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_MEM),
    "mig": lambda nvml, handle: bool(nvml.nvmlDeviceGetMigMode(handle)[0]),
}


def _load(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(
            f"the package {package!r} is not installed", f"Install it: pip install {package}."
        ) from error


def _cuda_version(nvml: Any) -> str:
    version = int(nvml.nvmlSystemGetCudaDriverVersion())
    return f"{version // 1000}.{version % 1000 // 10}"


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


# nvml.h: nvmlClocksEventReasons; being idle is not one of the reasons that count
REASONS: Mapping[int, str] = {
    0x002: "applications_clocks_setting",
    0x004: "sw_power_cap",
    0x008: "hw_slowdown",
    0x010: "sync_boost",
    0x020: "sw_thermal_slowdown",
    0x040: "hw_thermal_slowdown",
    0x080: "hw_power_brake_slowdown",
    0x100: "display_clock_setting",
}


def probe(index: int) -> QueryProbe:
    """Return the probe of the GPU with this CUDA index; raises UserError if there is none."""
    nvml, handle = open_gpu(index)
    return QueryProbe(
        states={
            "clock_mhz": partial(nvml.nvmlDeviceGetClockInfo, handle, nvml.NVML_CLOCK_SM),
            "memory_clock_mhz": partial(nvml.nvmlDeviceGetClockInfo, handle, nvml.NVML_CLOCK_MEM),
            "temperature_c": partial(nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU),
            "power_w": partial(_power_w, nvml, handle),
        },
        counters={},
        throttled_by=partial(_throttled_by, nvml, handle),
        failures=(nvml.NVMLError,),
    )


def _power_w(nvml: Any, handle: Any) -> float:
    """Return the power now, or over the last second on GPUs that report no other."""
    (field,) = nvml.nvmlDeviceGetFieldValues(handle, [nvml.NVML_FI_DEV_POWER_INSTANT])
    known = field.nvmlReturn == nvml.NVML_SUCCESS
    return float(field.value.uiVal if known else nvml.nvmlDeviceGetPowerUsage(handle)) / 1000


def _throttled_by(nvml: Any, handle: Any) -> tuple[str, ...]:
    try:
        bits = nvml.nvmlDeviceGetCurrentClocksEventReasons(handle)
    except nvml.NVMLError_FunctionNotFound:  # its name before driver 535
        bits = nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)
    return tuple(name for bit, name in REASONS.items() if bits & bit)
