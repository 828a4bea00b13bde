"""The device that a measurement is made on: a GPU, or the processors of a host."""

import platform
from dataclasses import dataclass

from engines.core.values import DeviceKind


@dataclass(frozen=True)
class Device:
    """One device of one host; noise, drift and ratios to the baseline are those of a device.

    `uuid` is the GPU's own (as NVML gives it), "cpu" for the host's processors; `index` is the GPU's number
    on its host, 0 on a CPU.
    """

    host: str
    uuid: str
    kind: DeviceKind
    processor: str
    index: int = 0

    @property
    def name(self) -> str:
        """What records call it: unique over hosts."""
        return f"{self.host}/{self.uuid}"


def this_host() -> str:
    """The name that records call this host."""
    return platform.node()
