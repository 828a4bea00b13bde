"""The device of a measurement: a GPU, or the processors of a host."""

import platform
from dataclasses import dataclass

from engines.core.values import DeviceKind


@dataclass(frozen=True)
class Device:
    """One device of one host; noise, drift and ratios to the baseline are kept for each device.

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
        """The name in records, unique over hosts; a GPU keeps its own in a container with a new host name."""
        return self.uuid if self.kind == "gpu" else f"{self.host}/{self.uuid}"


def this_host() -> str:
    """Return the name of this host in records."""
    return platform.node()
