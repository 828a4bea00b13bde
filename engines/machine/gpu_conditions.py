"""Check what makes a GPU noisy, with NVML; a condition that the GPU or its driver does not report is unknown.

Call this before this process or a worker uses the GPU: in a container NVML lists processes by the host's
numbers, so they could not be distinguished from others.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from engines.machine import gpu
from engines.machine.conditions import Check, Condition, Finding, examine

# a CUDA context takes some hundred MiB; the driver itself takes less than this
LITTLE_MEMORY_MIB = 256
NEAR_SLOWDOWN_C = 10
BUSY_PERCENT = 5
# NVML's names of the reasons that limit clocks now, without being idle
REASONS = {
    "ApplicationsClocksSetting": "clocks set by the user",
    "SwPowerCap": "power cap",
    "HwSlowdown": "hardware slowdown",
    "SyncBoost": "sync boost with another GPU",
    "SwThermalSlowdown": "heat",
    "HwThermalSlowdown": "heat",
    "HwPowerBrakeSlowdown": "power brake",
}
ROOT = Path("/")


def states(index: int, root: Path = ROOT) -> tuple[Condition, ...]:
    """Check how the GPU with this CUDA index is set up, and who else uses it; raises UserError if none is."""
    nvml, handle = gpu.open_gpu(index)
    # an older nvidia-ml-py lacks some of the queries: AttributeError
    unavailable = (nvml.NVMLError, AttributeError, LookupError, ZeroDivisionError)
    found = examine(STATES, nvml, handle, unavailable=unavailable)
    return found + examine((MPS,), root, unavailable=unavailable)


def _clocks(nvml: Any, handle: Any) -> Finding:
    """Report the clocks. NVML can lock them but not report a lock, so this alone decides nothing."""
    now = nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM)
    most = nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_SM)
    return None, f"{now:,} of {most:,} MHz; NVML does not report whether they are locked"


def _power_limit(nvml: Any, handle: Any) -> Finding:
    limit = nvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1e3
    usual = nvml.nvmlDeviceGetPowerManagementDefaultLimit(handle) / 1e3
    below = limit < 0.99 * usual
    return below, f"{limit:,.0f} W" + (f", below the default of {usual:,.0f} W" if below else "")


def _throttling(nvml: Any, handle: Any) -> Finding:
    try:
        mask = nvml.nvmlDeviceGetCurrentClocksEventReasons(handle)
    except (nvml.NVMLError, AttributeError):
        mask = nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)  # the name in older drivers
    found = {about: None for name, about in REASONS.items() if mask & _reason(nvml, name)}
    return bool(found), ", ".join(found) or "none now"


def _reason(nvml: Any, name: str) -> int:
    return int(getattr(nvml, f"nvmlClocksThrottleReason{name}"))


def _temperature(nvml: Any, handle: Any) -> Finding:
    now = nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)
    try:
        margin = nvml.nvmlDeviceGetMarginTemperature(handle)
    except (nvml.NVMLError, AttributeError):
        margin = (
            nvml.nvmlDeviceGetTemperatureThreshold(handle, nvml.NVML_TEMPERATURE_THRESHOLD_SLOWDOWN) - now
        )
    return margin < NEAR_SLOWDOWN_C, f"{now} °C, {margin} °C below the slowdown"


def _processes(nvml: Any, handle: Any) -> Finding:
    running = {one.pid for one in nvml.nvmlDeviceGetComputeRunningProcesses(handle)}
    with suppress(nvml.NVMLError):  # a MIG slice has no graphics
        running |= {one.pid for one in nvml.nvmlDeviceGetGraphicsRunningProcesses(handle)}
    used = _used_bytes(nvml, handle) / 2**20
    seen = f"{len(running)} seen" if running else "none seen"
    # in a container other processes may be invisible, but their memory is visible
    return bool(running) or used > LITTLE_MEMORY_MIB, f"{seen}, {used:,.0f} MiB in use"


def _used_bytes(nvml: Any, handle: Any) -> int:
    """Return the used memory in MiB, without what the driver reserves if it reports that."""
    try:
        return int(nvml.nvmlDeviceGetMemoryInfo(handle, version=nvml.nvmlMemory_v2).used)
    except (nvml.NVMLError, AttributeError):
        return int(nvml.nvmlDeviceGetMemoryInfo(handle).used)


def _busy(nvml: Any, handle: Any) -> Finding:
    percent = nvml.nvmlDeviceGetUtilizationRates(handle).gpu
    return percent > BUSY_PERCENT, f"{percent} % of the time, before the tuner uses it"


def _display(nvml: Any, handle: Any) -> Finding:
    active = bool(nvml.nvmlDeviceGetDisplayActive(handle))
    return active, "on this GPU" if active else "none"


def _persistence(nvml: Any, handle: Any) -> Finding:
    on = bool(nvml.nvmlDeviceGetPersistenceMode(handle))
    return not on, "on" if on else "off"


def _mig(nvml: Any, handle: Any) -> Finding:
    try:
        on = bool(nvml.nvmlDeviceGetMigMode(handle)[0])
    except nvml.NVMLError_NotSupported:
        return False, "not of this GPU"
    return on, "on" if on else "off"


def _mps(root: Path) -> Finding:
    named = [
        name
        for name in ("CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE")
        if os.environ.get(name)
    ]
    # where CUDA looks for the server by default
    if not named and not (root / "tmp/nvidia-mps/control").exists():
        return False, "off"
    return True, f"on, by {named[0]}" if named else "on, its server runs"


def _repairs(nvml: Any, handle: Any) -> Finding:
    try:
        _, _, pending, failed = nvml.nvmlDeviceGetRemappedRows(handle)
    except nvml.NVMLError:  # before Ampere pages were retired instead
        pending, failed = nvml.nvmlDeviceGetRetiredPagesPendingStatus(handle), False
    return bool(pending or failed), "failed" if failed else "pending" if pending else "none pending"


def _link(nvml: Any, handle: Any) -> Finding:
    """Check the width only: the generation falls when the link is idle."""
    width, most = nvml.nvmlDeviceGetCurrPcieLinkWidth(handle), nvml.nvmlDeviceGetMaxPcieLinkWidth(handle)
    return width < most, f"x{width} of x{most}"


def _compute_mode(nvml: Any, handle: Any) -> Finding:
    mode = nvml.nvmlDeviceGetComputeMode(handle)
    names = {
        nvml.NVML_COMPUTEMODE_DEFAULT: "shared",
        nvml.NVML_COMPUTEMODE_EXCLUSIVE_PROCESS: "one process at a time",
        nvml.NVML_COMPUTEMODE_PROHIBITED: "prohibited",
    }
    return mode == nvml.NVML_COMPUTEMODE_PROHIBITED, names[mode]


def _virtual(nvml: Any, handle: Any) -> Finding:
    shared = nvml.nvmlDeviceGetVirtualizationMode(handle) == nvml.NVML_GPU_VIRTUALIZATION_MODE_VGPU
    return shared, "a share of one" if shared else "a whole one"


def _other_gpus(nvml: Any, handle: Any) -> Finding:
    ours = nvml.nvmlDeviceGetUUID(handle)
    handles = map(nvml.nvmlDeviceGetHandleByIndex, range(nvml.nvmlDeviceGetCount()))
    others = [one for one in handles if nvml.nvmlDeviceGetUUID(one) != ours]
    busy = sum(nvml.nvmlDeviceGetUtilizationRates(one).gpu > BUSY_PERCENT for one in others)
    return bool(busy), f"{busy} of {len(others)} busy" if others else "none"


MPS = Check("MPS", _mps, "Results belong to a share of the GPU: stop its server for those of the whole.")
STATES = (
    Check(
        "GPU clocks",
        _clocks,
        "Check that they hold under load; nvidia-smi -lgc MHZ locks, -rgc unlocks.",
    ),
    Check("GPU power cap", _power_limit, "Results belong to this cap; nvidia-smi -pl WATTS sets it."),
    Check(
        "GPU throttling", _throttling, "Wait, cool it, or lock clocks that it can hold: nvidia-smi -lgc MHZ."
    ),
    Check("GPU temperature", _temperature, "Cool it, or wait: clocks fall when it is hot."),
    Check(
        "others on the GPU", _processes, "Wait until they end, or choose another: --backend NAME:device=1."
    ),
    Check("GPU in use", _busy, "Wait until it is free, or choose another: --backend NAME:device=1."),
    Check("display", _display, "Move the desktop to another GPU, or stop it."),
    Check("persistence mode", _persistence, "Keep the driver loaded: nvidia-smi -pm 1."),
    Check("MIG", _mig, "Results belong to this slice, and others share power and clocks with it."),
    Check("GPU memory repair", _repairs, "Reset the GPU or restart the machine, so that it is done."),
    Check("PCIe width", _link, "Seat the card in a full slot: copies to and from it are slow."),
    Check("compute mode", _compute_mode, "Nothing can run on it: nvidia-smi -c 0 allows it again."),
    Check("virtual GPU", _virtual, "Others have the rest of it: measure on a whole one."),
    Check("other GPUs", _other_gpus, "They share power, cooling and the bus: wait until they are idle."),
)
