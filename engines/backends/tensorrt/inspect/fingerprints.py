"""Compute an engine's fingerprint: a digest of its layers, types, formats, tactics and shapes, if known."""

from collections.abc import Mapping, Sequence
from typing import Any

from engines.backends.tensorrt.inspect.plan import PROFILE
from engines.core.wire import digest

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
