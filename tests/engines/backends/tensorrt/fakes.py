"""A module of TensorRT as small as a test needs: enums by name, and what is asked of them."""

import json
from enum import IntEnum
from types import SimpleNamespace
from typing import Any

from engines.backends.tensorrt.bindings.vendor import Vendor


def enum(name: str, *members: str) -> Any:
    """As pybind11 makes them: numbered, and known by `__members__`."""
    return IntEnum(name, {member: place for place, member in enumerate(members)})


def vendor(*, is_rtx: bool = False, **parts: Any) -> Vendor:
    """A vendor whose module has these parts."""
    name = "tensorrt-rtx" if is_rtx else "tensorrt"
    return Vendor(name, SimpleNamespace(__name__=name, __version__="10.13.2.6", **parts), is_rtx=is_rtx)


class TimingCache:
    """What is known, by name; bytes are a JSON list. Those of another device are not taken."""

    def __init__(self, content: bytes) -> None:
        self.known = set(json.loads(content)) if content else set()

    def serialize(self) -> bytes:
        return json.dumps(sorted(self.known)).encode()

    def combine(self, other: "TimingCache", ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch
        if "other device" in other.known:
            return False
        self.known |= other.known
        return True


class TimingConfig:
    """A builder config with a timing cache; `learn` is what a build does to it."""

    def __init__(self, *, throws: bool = False) -> None:
        self.cache: TimingCache | None = None
        self._throws = throws

    def create_timing_cache(self, content: bytes) -> TimingCache:
        if content and self._throws:
            raise RuntimeError("the vendor's parser throws")
        return TimingCache(content)

    def set_timing_cache(self, cache: TimingCache, ignore_mismatch: bool) -> bool:
        assert not ignore_mismatch
        if "other device" in cache.known:
            return False
        self.cache = cache
        return True

    def get_timing_cache(self) -> TimingCache | None:
        return self.cache

    def learn(self, *names: str) -> None:
        assert self.cache is not None
        self.cache.known |= set(names)


class RuntimeCache:
    """Kernels as bytes; takes none of another device, and throws at those of another version."""

    def __init__(self) -> None:
        self.kernels = b""

    def deserialize(self, content: bytes) -> bool:
        self.kernels = content
        if content.startswith(b"other version"):
            raise RuntimeError("version mismatch")
        return not content.startswith(b"other device")

    def serialize(self) -> bytes:
        return self.kernels


class RuntimeOptions:
    """RTX's runtime config, which makes runtime caches."""

    def __init__(self) -> None:
        self.cache: RuntimeCache | None = None

    def create_runtime_cache(self) -> RuntimeCache:
        return RuntimeCache()

    def set_runtime_cache(self, cache: RuntimeCache) -> bool:
        self.cache = cache
        return True
