"""Read an engine's layers from the vendor's inspector: the types they compute in, and their fingerprint.

The fingerprint is a digest of layers, types, formats, tactics and shapes, where the inspector gives them all.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engines.backends.tensorrt.bindings.vendor import Vendor
from engines.backends.tensorrt.inspect.plan import PROFILE
from engines.core.values import Value
from engines.core.wire import digest

# how the inspector spells types, in TensorRT 10 and 11; the longest first, since some contain others
TYPES = {
    "bfloat16": "bf16",
    "float16": "fp16",
    "uint64": "uint64",
    "uint32": "uint32",
    "uint16": "uint16",
    "double": "fp64",
    "float8": "fp8",
    "uint8": "uint8",
    "int64": "int64",
    "int32": "int32",
    "int16": "int16",
    "float": "fp32",
    "bf16": "bf16",
    "half": "fp16",
    "fp16": "fp16",
    "fp32": "fp32",
    "int8": "int8",
    "int4": "int4",
    "bool": "bool",
    "fp8": "fp8",
    "fp4": "fp4",
}
EXPECTED = {"fp32": "fp32", "tf32": "fp32"}
UNSEEN = ("int4", "given")


def layers(vendor: Vendor, engine: Any) -> list[Mapping[str, Any]]:
    """The inspector's layers; plain names become layers that have nothing but a name."""
    inspector = engine.create_engine_inspector()
    text = inspector.get_engine_information(vendor.module.LayerInformationFormat.JSON)
    try:
        # names of nodes are copied into the JSON as they are, control characters included
        found = json.loads(text, strict=False)
    except ValueError as error:
        sys.stderr.write(f"[W] the engine's layers cannot be read: {error}\n")
        return []
    listed = found.get("Layers", []) if isinstance(found, dict) else found
    return [layer if isinstance(layer, dict) else {"Name": str(layer)} for layer in listed]


def facts(found: Sequence[Mapping[str, Any]], precision: str) -> dict[str, Value]:
    """Layers by the type of their first output, and whether any takes or gives the type that was asked for.

    An engine that tells no types contradicts nothing.
    """
    types = Counter(_output_type(layer) for layer in found)
    types.pop("", None)
    wanted = EXPECTED.get(precision, precision)
    taken = {_type for layer in found for _type in _types(layer, "Inputs")}
    return {
        "layers": sum(types.values()),
        "layer_types": " ".join(f"{name}:{count}" for name, count in types.most_common()),
        # weights in 4 bits are inside of layers, and a model that is kept as it came asks for nothing
        "precision_as_asked": wanted in {*types, *taken} or not types or wanted in UNSEEN,
    }


def _output_type(layer: Mapping[str, Any]) -> str:
    return next(_types(layer, "Outputs"), "")


def _types(layer: Mapping[str, Any], side: str) -> Iterator[str]:
    return (type_of(tensor) for tensor in layer.get(side) or [] if isinstance(tensor, dict))


def type_of(tensor: Mapping[str, Any]) -> str:
    """The type in `Format/Datatype` (10) or `Datatype` (11): 'Half', 'Row major linear FP16 format'."""
    text = str(
        tensor.get("Format/Datatype") or tensor.get("Datatype") or tensor.get("DataType") or ""
    ).lower()
    return next((name for spelled, name in TYPES.items() if spelled in text), "")


# kernels of RTX, which are compiled when the engine is loaded
STUB = "STUB"
# what only says where a layer comes from
NAMES = ("Name", "Metadata")
# groups of operators as older versions tell of them: one layer, whatever its kernels are
OPAQUE = ("Myelin", "ForeignNode")


def fingerprint(layers: Sequence[Mapping[str, Any]], engine: Any) -> str | None:
    """Equal for engines of the same layers and tactics that take the same shapes, whatever their names; None
    where the inspector does not tell every kernel.
    """
    tactics = [_tactic(layer) for layer in layers]
    if not any(tactics) or any(STUB in tactic for tactic in tactics):
        return None
    if any(_is_opaque(layer) and not tactic for layer, tactic in zip(layers, tactics, strict=True)):
        return None
    places: dict[str, int] = {}
    return digest(_sizes(engine), _shapes(engine), [_anonymous(layer, places) for layer in layers])


def _sizes(engine: Any) -> list[int]:
    """Memory and streams, which layers do not tell of; 0 where this version does not either."""
    # the newer name first
    names = (("device_memory_size_v2", "device_memory_size"), ("num_aux_streams",))
    return [next((int(getattr(engine, name)) for name in of if hasattr(engine, name)), 0) for of in names]


def _shapes(engine: Any) -> list[list[list[int]]]:
    """The shape of each input, and its range in the profile where that is dynamic."""
    names = [engine.get_tensor_name(place) for place in range(engine.num_io_tensors)]
    inputs = [name for name in names if engine.get_tensor_mode(name).name == "INPUT"]
    return [
        [list(shape) for shape in (engine.get_tensor_shape(name), *_range(engine, name))] for name in inputs
    ]


def _range(engine: Any, name: str) -> Sequence[Any]:
    dynamic = min(engine.get_tensor_shape(name), default=0) < 0
    return engine.get_tensor_profile_shape(name, PROFILE) if dynamic else ()


def _tactic(layer: Mapping[str, Any]) -> str:
    """The name of the kernel, else its number; empty where there is none."""
    number = str(layer.get("TacticValue") or "")
    return str(layer.get("TacticName") or "") or (number if number.strip("0x") else "")


def _is_opaque(layer: Mapping[str, Any]) -> bool:
    told = f"{layer.get('LayerType', '')} {layer.get('Name', '')}"
    return any(word in told for word in OPAQUE)


def _anonymous(layer: Mapping[str, Any], places: dict[str, int]) -> dict[str, Any]:
    """The layer without its name, its tensors numbered in the order in which they come up."""
    told = {name: value for name, value in layer.items() if name not in NAMES}
    for side in ("Inputs", "Outputs"):
        told[side] = [_numbered(tensor, places) for tensor in layer.get(side) or []]
    return told


def _numbered(tensor: Any, places: dict[str, int]) -> Any:
    if not isinstance(tensor, dict):
        return places.setdefault(str(tensor), len(places))
    return {**tensor, "Name": places.setdefault(str(tensor.get("Name", "")), len(places))}
