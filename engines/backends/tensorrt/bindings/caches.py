"""Caches that outlive a build or a run: the timing cache of TensorRT, the runtime cache of TensorRT-RTX.

One file for each GPU, driver, CUDA and library version. A cache that cannot be used is set aside with a
warning, never fatal; processes take turns, and what another one added meanwhile is merged.
"""

import fcntl
import hashlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from engines.artifacts.workspace import write_file
from engines.core.values import Machine, Value
from engines.core.wire import digest

# a file is this, the sha256 of its content and the content: a vendor's parser is no place for damaged bytes
MAGIC = b"trt-tuner cache 1\n"
HEADER_BYTES = len(MAGIC) + 32
DAMAGED = "it is damaged, or no cache of this program"
FOREIGN = "it belongs to another device or version"


@dataclass(frozen=True)
class CacheFile:
    """One cache on disk; errors are logged and cost only the cache."""

    path: Path

    def read(self) -> bytes:
        """Its content; empty when there is none that is whole."""
        raw = self._raw()
        content = _content(raw)
        if content is None and raw:
            self._in_turn(partial(self._put_aside, raw, DAMAGED))
        return content or b""

    def refuse(self, content: bytes, why: str) -> None:
        """Keeps a content that cannot be used under another name, unless another one took its place."""
        self._in_turn(partial(self._put_aside, _wrapped(content), why))

    def update(self, change: Callable[[bytes], bytes]) -> None:
        """Replaces the content by what `change` makes of it, one process of this host at a time."""

        def replace() -> None:
            raw = self._raw()
            content = _content(raw)
            if content is None and raw:
                self._put_aside(raw, DAMAGED)
            changed = change(content or b"")
            if changed != content:
                write_file(self.path, _wrapped(changed))

        self._in_turn(replace)

    def _in_turn(self, work: Callable[[], None]) -> None:
        """Not to be nested: a process waits for itself too."""
        try:
            with self.path.with_suffix(".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                work()
        except OSError as error:
            _warn(f"the cache {self.path.name} is not kept: {error.strerror or error}")

    def _raw(self) -> bytes:
        try:
            return self.path.read_bytes()
        except FileNotFoundError:
            return b""
        except OSError as error:
            _warn(f"the cache {self.path.name} cannot be read: {error.strerror or error}")
            return b""

    def _put_aside(self, raw: bytes, why: str) -> None:
        aside = self.path.with_suffix(".refused")
        if self._raw() == raw:
            self.path.replace(aside)
            _warn(f"the cache {self.path.name} is set aside as {aside.name}: {why}")


def cache_file(folder: Path, kind: str, machine: Machine) -> CacheFile:
    """The cache of a kind for a machine: another driver or version has another file."""
    name = digest(
        machine.processor, machine.driver, machine.libraries, machine.limits.get("compute_capability")
    )
    return CacheFile(folder / f"{kind}-{name[:16]}.cache")


def attach_timing_cache(config: Any, file: CacheFile) -> int:
    """Gives the config what is known; its size in bytes, 0 when cold."""
    known = file.read()
    if known and _attach(config, known):
        return len(known)
    if known:
        file.refuse(known, FOREIGN)
    _attach(config, b"")
    return 0


def save_timing_cache(config: Any, file: CacheFile) -> int:
    """Writes what the build knows, merged with what others wrote meanwhile; its own size in bytes."""
    cache = config.get_timing_cache()
    if cache is None:
        return 0
    own = len(bytes(cache.serialize()))
    file.update(partial(_merged, config, cache))
    return own


def attach_runtime_cache(options: Any, file: CacheFile) -> tuple[Any, int]:
    """Gives RTX's runtime config the kernels that were compiled before; the cache, and its size in bytes."""
    cache = options.create_runtime_cache()
    known = file.read()
    if known and not _deserialized(cache, known):
        file.refuse(known, FOREIGN)
        cache, known = options.create_runtime_cache(), b""
    options.set_runtime_cache(cache)
    return cache, len(known)


def save_runtime_cache(cache: Any, file: CacheFile, known: int) -> None:
    """Writes the kernels compiled so far, if there are more than the bytes known and than others know."""
    content = bytes(cache.serialize() or b"")
    if len(content) > known:
        file.update(lambda others: max(others, content, key=len))


def cache_facts(before: int, after: int) -> dict[str, Value]:
    """What a build's facts say of the cache."""
    return {"timing_cache": "warm" if before else "cold", "timing_cache_growth_bytes": max(0, after - before)}


def _attach(config: Any, content: bytes) -> bool:
    try:
        cache = config.create_timing_cache(content)
        # never with ignore_mismatch: timings of another device mislead the builder
        return cache is not None and bool(config.set_timing_cache(cache, False))
    except RuntimeError:
        return False


def _merged(config: Any, cache: Any, others: bytes) -> bytes:
    try:
        theirs = config.create_timing_cache(others) if others else None
        if theirs is not None:
            cache.combine(theirs, False)
    except RuntimeError as error:
        _warn(f"the timing cache of another process is not merged: {error}")
    return bytes(cache.serialize())


def _deserialized(cache: Any, content: bytes) -> bool:
    try:
        return bool(cache.deserialize(content))
    except RuntimeError:
        return False


def _wrapped(content: bytes) -> bytes:
    return MAGIC + hashlib.sha256(content).digest() + content


def _content(raw: bytes) -> bytes | None:
    """None where the bytes are not a whole file of ours."""
    content = raw[HEADER_BYTES:]
    return content if raw[:HEADER_BYTES] == MAGIC + hashlib.sha256(content).digest() else None


def _warn(text: str) -> None:
    sys.stderr.write(f"[W] {text}\n")
