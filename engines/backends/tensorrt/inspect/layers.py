"""Read the types that an engine's layers compute in from the vendor's inspector."""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engines.backends.tensorrt.bindings.vendor import Vendor
from engines.core.values import Value

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
