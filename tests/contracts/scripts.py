"""What the stand-ins of TensorRT's objects give where the backend depends on it: a config that remembers,
a builder that reports, an engine of one input and one output.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from tests.contracts.standins import Behaviour, World

PLAN = b"a plan"
LEARNED = b" and what this build learned"
INPUT, OUTPUT = "x", "y"
SHAPES = {INPUT: (2, 3, 12, 12), OUTPUT: (2, 5)}
# defaults that are not what a plain stand-in has
DEFAULTS = {
    "builder_optimization_level": 3,
    "max_aux_streams": -1,
    "max_num_tactics": -1,
    "avg_timing_iterations": 1,
}
ON_BY_DEFAULT = ("EDGE_MASK_CONVOLUTIONS", "JIT_CONVOLUTIONS")
LAYERS = {
    "Layers": [
        {"Name": "conv", "Outputs": [{"Name": "c", "Format/Datatype": "Row major linear FP32"}]},
        {"Name": "gemm", "Outputs": [{"Name": "y", "Format": "Row major", "Datatype": "Float"}]},
    ]
}


@dataclass
class Scripted:
    """A world, what its builder config was told, by name, and the plugins that were loaded."""

    world: World
    told: dict[str, Any] = field(default_factory=dict)
    loaded: list[str] = field(default_factory=list)


def scripted(real: ModuleType, hidden: frozenset[str], used: set[str]) -> Scripted:
    """A fresh world in which the backend can do all its work."""
    script = Scripted(World(real, hidden, used))
    for part in (_config, _switches, _builder, _caches, _engine):
        script.world.behaviours.update(part(script))
    return script


def content_of(cache: Any) -> bytes:
    """What a stand-in of a cache was made from."""
    return bytes(cache._state.get("content", b""))


def _config(script: Scripted) -> Mapping[str, Behaviour]:
    sources = script.world.real.TacticSource.__members__

    def set_tactic_sources(_: Any, mask: int) -> bool:
        script.told.update({f"tactic.{name}": bool(mask & 1 << int(of)) for name, of in sources.items()})
        return True

    def add_profile(_: Any, profile: Any) -> int:
        script.told["profile"] = profile._state["shapes"]
        return 0

    def set_shape(profile: Any, name: str, *shapes: tuple[int, ...]) -> None:
        profile._state.setdefault("shapes", {})[name] = shapes

    return {
        **{f"IBuilderConfig.{name}": lambda _, value=value: value for name, value in DEFAULTS.items()},
        "IBuilderConfig.set_memory_pool_limit": lambda _, of, size: script.told.update(
            {f"pool.{of.name}": size}
        ),
        "IBuilderConfig.set_tactic_sources": set_tactic_sources,
        "IBuilderConfig.get_tactic_sources": lambda _: sum(1 << int(sources[name]) for name in ON_BY_DEFAULT),
        "IBuilderConfig.add_optimization_profile": add_profile,
        "IOptimizationProfile.set_shape": set_shape,
    }


def _switches(script: Scripted) -> Mapping[str, Behaviour]:
    """Flags of the builder and the parser, and preview features: off unless told."""

    def put(kind: str, *fixed: bool) -> Behaviour:
        def change(_: Any, of: Any, *given: bool) -> None:
            (script.told[f"{kind}.{of.name}"],) = (*fixed, *given)

        return change

    def get(kind: str) -> Behaviour:
        return lambda _, of: script.told.get(f"{kind}.{of.name}", False)

    return {
        "IBuilderConfig.set_flag": put("flag", True),
        "IBuilderConfig.clear_flag": put("flag", False),
        "IBuilderConfig.get_flag": get("flag"),
        "IBuilderConfig.set_preview_feature": put("preview"),
        "IBuilderConfig.get_preview_feature": get("preview"),
        "OnnxParser.set_flag": put("parser", True),
        "OnnxParser.clear_flag": put("parser", False),
        "OnnxParser.get_flag": get("parser"),
    }


def _builder(script: Scripted) -> Mapping[str, Behaviour]:
    def build(builder: Any, network: Any, config: Any) -> Any:
        # as the library calls it
        monitor = config._state["progress_monitor"]
        monitor.phase_start("Building", None, 2)
        assert monitor.step_complete("Building", 1)
        monitor.phase_finish("Building")
        script.told.update(_named(config._state), builder_threads=builder._state.get("max_threads", 1))
        return script.world.make("IHostMemory", content=PLAN)

    def create_network(_: Any, flags: int) -> Any:
        known = script.world.real.NetworkDefinitionCreationFlag.__members__
        script.told["network"] = [name for name, of in known.items() if flags & 1 << int(of)]
        return script.world.make("INetworkDefinition")

    def load_library(_: Any, path: str) -> object:
        script.loaded.append(path)
        return "a handle"

    return {
        "Builder.build_serialized_network": build,
        "Builder.create_network": create_network,
        "OnnxParser.get_error": lambda _, index: script.world.make("ParserError", place=index),
        "ParserError.node": lambda error: error._state["place"],
        "ParserError.node_name": lambda error: ("det_1", "")[error._state["place"]],
        "ParserError.node_operator": lambda error: ("Det", "Frobnicate")[error._state["place"]],
        "ParserError.desc": lambda error: ("false", "Op type Frobnicate is not known.")[
            error._state["place"]
        ],
        "get_plugin_registry": lambda: script.world.make("IPluginRegistry"),
        "IPluginRegistry.load_library": load_library,
    }


def _caches(script: Scripted) -> Mapping[str, Behaviour]:
    """Caches that grow by a build or a run, for timings and for RTX's kernels."""

    def attach(config: Any, cache: Any, *_: bool) -> bool:
        config._state["cache"] = cache
        return True

    def deserialize(cache: Any, content: bytes) -> bool:
        cache._state["content"] = content
        return True

    def serialize(cache: Any) -> Any:
        content = content_of(cache)
        return script.world.make("IHostMemory", content=content.removesuffix(LEARNED) + LEARNED)

    return {
        "IBuilderConfig.create_timing_cache": lambda _, content: script.world.make(
            "ITimingCache", content=content
        ),
        "IBuilderConfig.set_timing_cache": attach,
        "IBuilderConfig.get_timing_cache": lambda config: config._state["cache"],
        "ITimingCache.serialize": serialize,
        "IRuntimeCache.deserialize": deserialize,
        "IRuntimeCache.serialize": serialize,
    }


def _engine(script: Scripted) -> Mapping[str, Behaviour]:
    real: Any = script.world.real
    names = list(SHAPES)

    def mode(_: Any, name: str) -> Any:
        return real.TensorIOMode.INPUT if name == INPUT else real.TensorIOMode.OUTPUT

    return {
        "ICudaEngine.num_io_tensors": lambda _: len(names),
        "ICudaEngine.get_tensor_name": lambda _, index: names[index],
        "ICudaEngine.get_tensor_mode": mode,
        "ICudaEngine.get_tensor_dtype": lambda *_: real.DataType.FLOAT,
        "ICudaEngine.get_tensor_location": lambda *_: real.TensorLocation.DEVICE,
        "IExecutionContext.get_tensor_shape": lambda _, name: real.Dims(SHAPES[name]),
        "EngineInspector.get_engine_information": lambda *_: json.dumps(LAYERS),
    }


def _named(state: Mapping[str, Any]) -> dict[str, Any]:
    """Properties that were set, enums by name."""
    plain = {name: value for name, value in state.items() if isinstance(value, bool | int | str | list)}
    enums = {name: value.name for name, value in state.items() if hasattr(type(value), "__members__")}
    return {**plain, **enums}
