"""Caches that outlive a build or a run: the timing cache of TensorRT, the runtime cache of TensorRT-RTX.

One file for each GPU, driver, CUDA and library version. A cache that cannot be used is set aside with a
warning, never fatal; processes take turns, and what another one added meanwhile is merged.
"""

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.values import Machine, Value
from engines.wire import digest
from engines.workspace import write_file


@dataclass(frozen=True)
class CacheFile:
    """One cache on disk."""

    path: Path

    def read(self) -> bytes:
        """Its content; empty when there is none yet."""
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return b""

    def write(self, content: bytes) -> None:
        write_file(self.path, content)

    def set_aside(self, why: str) -> None:
        """Keeps a cache that cannot be used under another name, and says so in the log."""
        aside = self.path.with_suffix(".refused")
        sys.stderr.write(f"[W] the cache {self.path.name} is set aside as {aside.name}: {why}\n")
        if self.path.exists():
            self.path.replace(aside)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Between processes of one host."""
        with self.path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def cache_file(folder: Path, kind: str, machine: Machine) -> CacheFile:
    """The cache of a kind for a machine: another driver or version has another file."""
    name = digest(
        machine.processor, machine.driver, machine.libraries, machine.limits.get("compute_capability")
    )
    return CacheFile(folder / f"{kind}-{name[:16]}.cache")


def attach_timing_cache(config: Any, file: CacheFile) -> int:
    """Gives the config what is known; its size in bytes, 0 when cold."""
    for content in (file.read(), b""):
        try:
            cache = config.create_timing_cache(content)
            # never with ignore_mismatch: timings of another device mislead the builder
            if cache is not None and config.set_timing_cache(cache, False):
                return len(content)
        except RuntimeError as error:
            file.set_aside(str(error))
            continue
        if content:
            file.set_aside("it belongs to another device or version, or is damaged")
    return 0


def save_timing_cache(config: Any, file: CacheFile) -> int:
    """Writes what the build learned, merged with what others wrote meanwhile; the size in bytes."""
    cache = config.get_timing_cache()
    if cache is None:
        return 0
    with file.locked():
        others = file.read()
        if others:
            theirs = config.create_timing_cache(others)
            if theirs is not None:
                cache.combine(theirs, False)
        content = bytes(cache.serialize())
        file.write(content)
    return len(content)


def attach_runtime_cache(options: Any, file: CacheFile) -> Any:
    """Gives RTX's runtime config the kernels that were compiled before; the cache."""
    cache = options.create_runtime_cache()
    content = file.read()
    if content:
        try:
            taken = cache.deserialize(content)
        except RuntimeError as error:
            taken = False
            file.set_aside(str(error))
        if taken is False and file.path.exists():
            file.set_aside("it belongs to another device or version, or is damaged")
    options.set_runtime_cache(cache)
    return cache


def save_runtime_cache(cache: Any, file: CacheFile) -> None:
    """Writes the kernels compiled so far, unless another process knows more."""
    content = bytes(cache.serialize())
    with file.locked():
        if len(content) > len(file.read()):
            file.write(content)


def cache_facts(before: int, after: int) -> dict[str, Value]:
    """What a build's facts say of the cache."""
    return {"timing_cache": "warm" if before else "cold", "timing_cache_growth_bytes": max(0, after - before)}
