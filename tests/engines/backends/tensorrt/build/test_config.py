from types import SimpleNamespace
from typing import Any

import pytest

from engines.backends.tensorrt.build import config
from engines.core.errors import EngineError
from engines.core.values import Settings, ShapeRange, Value
from tests.engines.backends.tensorrt.fakes import enum, vendor

PARTS = {
    "ProfilingVerbosity": enum("ProfilingVerbosity", "LAYER_NAMES_ONLY", "DETAILED"),
    "BuilderFlag": enum("BuilderFlag", "TF32", "SPARSE_WEIGHTS", "DIRECT_IO"),
    "TacticSource": enum("TacticSource", "CUBLAS", "JIT"),
    "MemoryPoolType": enum("MemoryPoolType", "WORKSPACE"),
}


class Config:
    """Refuses DIRECT_IO, and sources other than the first; a negative aux_streams is passed over."""

    def __init__(self) -> None:
        self.flags: set[Any] = set()
        self._streams = -1
        self.pools: dict[Any, int] = {}
        self.profiles: list[dict[str, Any]] = []

    def set_flag(self, flag: Any) -> None:
        if flag.name != "DIRECT_IO":
            self.flags.add(flag)

    def clear_flag(self, flag: Any) -> None:
        self.flags.discard(flag)

    def get_flag(self, flag: Any) -> bool:
        return flag in self.flags

    @property
    def max_aux_streams(self) -> int:
        return self._streams

    @max_aux_streams.setter
    def max_aux_streams(self, count: int) -> None:
        if count > 2**31:
            raise TypeError("incompatible function arguments")
        self._streams = count if count >= 0 else self._streams

    def set_tactic_sources(self, mask: int) -> bool:
        return mask < 2

    def set_memory_pool_limit(self, pool: Any, size: int) -> None:
        self.pools[pool.name] = size

    def add_optimization_profile(self, profile: Any) -> int:
        self.profiles.append(profile.shapes)
        return 0 if profile.shapes["x"][0] <= profile.shapes["x"][1] else -1


class Profile:
    def __init__(self) -> None:
        self.shapes: dict[str, Any] = {}

    def set_shape(self, name: str, *shapes: Any) -> None:
        self.shapes[name] = shapes


def _apply(*shapes: dict[str, ShapeRange], tf32: bool = True, **settings: Value) -> Config:
    made = Config()
    builder = SimpleNamespace(create_optimization_profile=Profile)
    config.apply(vendor(**PARTS), made, Settings(settings), tf32=tf32, profiles=shapes, builder=builder)
    return made


@pytest.mark.parametrize("tf32", [True, False])
def test_tf32_is_said_either_way(tf32: bool) -> None:
    assert {flag.name for flag in _apply(tf32=tf32).flags} == ({"TF32"} if tf32 else set())


def test_a_default_that_cannot_be_set_is_left_alone() -> None:
    assert _apply(max_aux_streams=-1).max_aux_streams == -1
    assert _apply(max_aux_streams=2).max_aux_streams == 2


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ({"max_aux_streams": -3}, "max_aux_streams=-3"),
        ({"max_aux_streams": 2**40}, f"max_aux_streams={2**40}"),
        ({"direct_io": True}, "direct_io=true"),
        ({"tactic_sources": "CUBLAS+JIT"}, "tactic_sources=CUBLAS+JIT"),
        ({"workspace_mib": -1}, "workspace_mib=-1"),
    ],
)
def test_what_the_builder_does_not_give_back_is_refused(setting: dict[str, Any], said: str) -> None:
    with pytest.raises(EngineError) as caught:
        _apply(**setting)
    assert caught.value.message == f"the builder refused {said}"


def test_a_pool_of_no_size_is_left_as_it_is() -> None:
    assert _apply(workspace_mib=0).pools == {}
    assert _apply(workspace_mib=3).pools == {"WORKSPACE": 3 << 20}


def test_a_profile_that_the_builder_refuses_is_an_error() -> None:
    _apply({"x": ShapeRange((1,), (2,), (4,))})
    with pytest.raises(EngineError, match="the builder refused the optimization profile"):
        _apply({"x": ShapeRange((4,), (2,), (4,))})


def test_every_profile_of_the_plan_is_added_in_its_order() -> None:
    made = _apply({"x": ShapeRange((1,), (2,), (4,))}, {"x": ShapeRange((5,), (6,), (8,))})
    assert made.profiles == [{"x": ((1,), (2,), (4,))}, {"x": ((5,), (6,), (8,))}]
