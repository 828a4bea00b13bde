"""What the checks against real bindings are made of."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tests.contracts.bindings as made
from tests.contracts.signatures import accepting, signatures
from tests.contracts.standins import World

OVERLOADED = """create(*args, **kwargs)
Overloaded function.

1. create(self: m.Engine, strategy: m.Strategy = <Strategy.STATIC: 0>) -> m.Context


    Creates. With a list, such as: 2. this

2. create(self: m.Engine, name: str, sizes: List[int], more: Tuple[int, str] = (1, 'a, b')) -> bool
"""


@pytest.fixture
def world() -> World:
    """Over the real module of TensorRT-RTX."""
    return World(pytest.importorskip("tensorrt_rtx"))


def test_signatures_are_read_from_the_docstrings_of_pybind11() -> None:
    first, second = signatures(OVERLOADED)
    assert [(one.name, one.type, one.is_optional) for one in first.parameters] == [
        ("strategy", "m.Strategy", True)
    ]
    assert first.result == "m.Context"
    assert [(one.name, one.type, one.is_optional) for one in second.parameters] == [
        ("name", "str", False),
        ("sizes", "List[int]", False),
        ("more", "Tuple[int, str]", True),
    ]
    (setter,) = signatures("(arg0: m.Config, arg1: int) -> None\n")
    assert [one.name for one in setter.parameters] == ["arg1"]


@pytest.mark.parametrize(
    ("arguments", "keywords", "complaint"),
    [
        ((1, 2), {}, "takes 1 arguments, not 2"),
        ((), {"level": 1}, "takes no 'level'"),
        ((), {}, "needs 'size'"),
        ((1,), {"size": 1}, "takes no 'size'"),
        (("1",), {}, "takes int as 'size', not '1'"),
    ],
)
def test_a_call_that_the_signature_does_not_take_is_refused(
    arguments: tuple[object, ...], keywords: dict[str, object], complaint: str
) -> None:
    taken = signatures("f(self: m.C, size: int) -> None")
    assert accepting(taken, [1], {}, lambda *_: True) is taken[0]
    with pytest.raises(TypeError, match=complaint):
        accepting(taken, arguments, keywords, lambda _, value: isinstance(value, int))


def test_a_stand_in_has_the_members_of_the_real_class_and_no_other(world: World) -> None:
    config = world.make("IBuilderConfig")
    config.max_aux_streams = 2
    assert config.max_aux_streams == 2
    assert config.num_optimization_profiles == 0
    with pytest.raises(AttributeError, match="max_aux_stream"):
        config.max_aux_stream = 2
    with pytest.raises(AttributeError, match="num_optimization_profiles cannot be set"):
        config.num_optimization_profiles = 1
    with pytest.raises(AttributeError, match="int8_calibrator"):
        _ = config.int8_calibrator
    with pytest.raises(AttributeError, match="FP16"):
        _ = world.module.BuilderFlag.FP16


def test_a_stand_in_takes_what_the_real_signatures_take(world: World) -> None:
    module, config = world.module, world.make("IBuilderConfig")
    config.set_flag(module.BuilderFlag.TF32)
    config.set_flag(flag=module.BuilderFlag.TF32)
    wrong: list[Any] = [
        lambda: config.set_flag(1),
        lambda: config.set_flag(module.PreviewFeature.ALIASED_PLUGIN_IO_10_03),
        lambda: config.set_flag(module.BuilderFlag.TF32, True),
        lambda: config.set_flag(flags=module.BuilderFlag.TF32),
        lambda: setattr(config, "tiling_optimization_level", 1),
        lambda: setattr(config, "plugins_to_serialize", ["a", 1]),
        module.Builder,
        module.IBuilderConfig,
        lambda: config.add_optimization_profile(config),
    ]
    for call in wrong:
        with pytest.raises(TypeError):
            call()


def test_a_stand_in_gives_what_the_real_function_declares(world: World) -> None:
    config = world.make("IBuilderConfig")
    assert config.set_tactic_sources(3) is True
    assert config.tiling_optimization_level == world.real.TilingOptimizationLevel.NONE
    assert config.create_timing_cache(b"").serialize().nbytes
    world.behaviours["IBuilderConfig.get_flag"] = lambda *_: "yes"
    with pytest.raises(AssertionError, match="gives 'yes' for bool"):
        config.get_flag(world.module.BuilderFlag.TF32)


def test_host_memory_is_a_buffer_and_nothing_else(world: World, tmp_path: Path) -> None:
    memory = world.make("IHostMemory", content=b"plan")
    assert bytes(memory) == b"plan"
    (tmp_path / "plan").write_bytes(memory)
    assert (tmp_path / "plan").read_bytes() == b"plan"
    with pytest.raises(AttributeError):
        _ = memory.decode


def test_what_is_hidden_is_missing_and_what_is_used_is_noted() -> None:
    hidden = frozenset(["BuilderFlag.TF32", "IBuilderConfig.set_flag", "Runtime"])
    world = World(pytest.importorskip("tensorrt_rtx"), hidden)
    assert "TF32" not in world.module.BuilderFlag.__members__
    assert "DEBUG" in world.module.BuilderFlag.__members__
    uses: list[Callable[[], object]] = [
        lambda: world.module.BuilderFlag.TF32,
        lambda: world.make("IBuilderConfig").set_flag,
        lambda: world.module.Runtime,
    ]
    for use in uses:
        with pytest.raises(AttributeError, match="does not exist in this version"):
            use()
    assert not hasattr(world.make("IBuilderConfig"), "set_flag")
    assert world.used == {"BuilderFlag", "BuilderFlag.TF32", "IBuilderConfig.set_flag", "Runtime"}


def test_stand_ins_for_cuda_have_nothing_that_the_real_packages_lack() -> None:
    """In a process of its own, since they take the places of the real ones."""
    program = "from tests.contracts import cuda_standins as c; c.Stream.idle = 1; c.install()"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "AssertionError: Stream has no idle" in ran.stderr


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [("PATH", "", "no C compiler"), ("PIP_NO_INDEX", "1", "No matching distribution found")],
    ids=["no compiler", "no registry"],
)
def test_bindings_that_cannot_be_had_skip_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str, value: str, reason: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.setenv(variable, value)
    with pytest.raises(pytest.skip.Exception, match=f"tensorrt 10.13.2.6 cannot be had: .*{reason}"):
        made.fetch("tensorrt", "10.13.2.6")
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert left == []
