"""What the stand-ins of TensorRT's objects give where the backend depends on it: a config that remembers,
a builder that reports, an engine of one input and one output.
"""

import ctypes
import inspect
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from tests.contracts.signatures import signatures
from tests.contracts.standins import Behaviour, World

PLAN = b"a plan"
LEARNED = b" and what this build learned"
RANGES = b"TRT-10-Calibration"
INPUT, OUTPUT = "x", "y"
SHAPES = {INPUT: (2, 3, 12, 12), OUTPUT: (2, 5)}
# name, ONNX node, type and type of the output of each layer
NETWORK = (
    ("kernel", "", "CONSTANT", "FLOAT"),
    ("conv", "conv", "CONVOLUTION", "FLOAT"),
    ("relu", "relu", "ACTIVATION", "FLOAT"),
    ("flatten_3", "flatten", "SHAPE", "INT64"),
    ("flatten", "flatten", "SHUFFLE", "FLOAT"),
    ("classify_5", "classify", "MATRIX_MULTIPLY", "FLOAT"),
)
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
    """A world, what its builder config and layers were told, by name, the plugins that were loaded, and what
    calibrators gave.
    """

    world: World
    told: dict[str, Any] = field(default_factory=dict)
    loaded: list[str] = field(default_factory=list)
    calibrations: list[dict[str, Any]] = field(default_factory=list)


def scripted(real: ModuleType, hidden: frozenset[str], used: set[str]) -> Scripted:
    """A fresh world in which the backend can do all its work."""
    script = Scripted(World(real, hidden, used))
    for part in (_config, _switches, _network, _builder, _caches, _engine):
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

    def set_calibration_profile(_: Any, profile: Any) -> bool:
        script.told["calibration_profile"] = profile._state["shapes"]
        return True

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
        "IBuilderConfig.set_calibration_profile": set_calibration_profile,
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


def _network(script: Scripted) -> Mapping[str, Behaviour]:
    """Layers as the parser makes them of a convolution, a flattening with its shape, and a product."""
    real: Any = script.world.real

    def layer(name: str, node: str, kind: str, dtype: str) -> Any:
        output = script.world.make(
            "ITensor", name=f"{name}_output", dtype=getattr(real.DataType, dtype), is_shape_tensor=False
        )
        metadata = f"[ONNX Layer: {node}]" if node else ""
        return script.world.make(
            "ILayer",
            name=name,
            metadata=metadata,
            type=getattr(real.LayerType, kind),
            num_outputs=1,
            output=output,
        )

    def set_precision(of: Any, dtype: Any) -> Any:
        script.told[f"precision.{of._state['name']}"] = dtype.name
        return dtype

    def set_output_type(of: Any, index: int, dtype: Any) -> None:
        script.told[f"output.{of._state['name']}.{index}"] = dtype.name

    layers = [layer(*of) for of in NETWORK]
    return {
        "INetworkDefinition.num_layers": lambda _: len(layers),
        "INetworkDefinition.get_layer": lambda _, index: layers[index],
        "ILayer.get_output": lambda of, index: of._state["output"],
        "ILayer.precision=": set_precision,
        "ILayer.set_output_type": set_output_type,
    }


def _calibrated(real: Any, calibrator: Any) -> dict[str, Any]:
    """What a calibrator gives when it is asked as the library asks."""
    base = type(calibrator).__mro__[1]
    for name in ("get_batch_size", "get_batch", "read_calibration_cache", "write_calibration_cache"):
        (declared,) = signatures(getattr(base, name).__doc__ or "")
        taken = list(inspect.signature(getattr(calibrator, name)).parameters)
        assert taken == [of.name for of in declared.parameters], name
    # through C++, which calls the method of the class that was derived in Python
    assert real.IInt8Calibrator.get_batch_size(calibrator) == 1
    known, values = calibrator.read_calibration_cache(), []
    while known is None and (addresses := calibrator.get_batch([INPUT])):
        (address,) = addresses
        values.append(ctypes.c_float.from_address(address).value)
    if known is None:
        calibrator.write_calibration_cache(memoryview(RANGES))
    algorithm = real.IInt8Calibrator.get_algorithm(calibrator).name
    return {"algorithm": algorithm, "known": (known or b"").decode(), "values": values}


def _builder(script: Scripted) -> Mapping[str, Behaviour]:
    def build(builder: Any, network: Any, config: Any) -> Any:
        if "int8_calibrator" in config._state:
            script.calibrations.append(_calibrated(script.world.real, config._state["int8_calibrator"]))
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
        "ICudaEngine.num_optimization_profiles": lambda _: 1,
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
