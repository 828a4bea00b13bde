"""Read the JSON that earlier versions stored."""

from collections.abc import Callable, Mapping
from pathlib import PurePath
from typing import Any, TypeVar

import msgspec

from engines.core import wire

T = TypeVar("T")


def from_json(text: bytes | str, of: type[T]) -> T:
    """A value of type `of`, which has a workload or a model; raises msgspec.DecodeError if it is off."""
    return wire.from_plain(_today(msgspec.json.decode(text), {"workload": workload, "model": model}), of)


def _today(plain: Any, changes: Mapping[str, Callable[[dict[str, Any]], object]]) -> Any:
    """The fields that are named in today's form, as far as they are there."""
    if not isinstance(plain, dict):
        return plain
    found = {
        name: change(plain[name]) for name, change in changes.items() if isinstance(plain.get(name), dict)
    }
    return {**plain, **found}


def workload(plain: dict[str, Any]) -> dict[str, Any]:
    """A workload's JSON in today's form; what is not of an earlier form stays as it is."""
    found: dict[str, Any] = _with_plan(plain) if isinstance(plain.get("shapes"), dict) else dict(plain)
    found = _today(found, {"model": model, "inputs": _source, "calibration": _source, "expected": _source})
    if isinstance(found.get("metrics"), list):
        found["metrics"] = [_metric(one) if isinstance(one, dict) else one for one in found["metrics"]]
    return found


def model(plain: dict[str, Any]) -> dict[str, Any]:
    """The JSON of what is known of a model in today's form."""
    return _with_file(plain, "path") if "path" in plain else plain


def _source(plain: dict[str, Any]) -> dict[str, Any]:
    if "path" not in plain:
        return plain
    if plain["path"] is None:
        return {name: value for name, value in plain.items() if name not in ("path", "digest")}
    return _with_file(plain, "path")


def _metric(plain: dict[str, Any]) -> dict[str, Any]:
    return _with_file(plain, "folder") if "folder" in plain else plain


def _with_file(plain: dict[str, Any], place: str) -> dict[str, Any]:
    """Once there were a path, or of a function the folder that its module is found from, and a digest."""
    kept = dict(plain)
    where, sha256 = kept.pop(place), kept.pop("digest", None)
    function = kept.get("function")
    name = module_file(function) if function else PurePath(str(where)).name
    return {**kept, "file": {"digest": sha256 or "", "name": name, "where": where}}


def module_file(function: str) -> str:
    """The name of the file that MODULE:FUNCTION or FILE.py:FUNCTION is written in."""
    module = str(function).rpartition(":")[0]
    return PurePath(module).name if module.endswith(".py") else f"{module.rpartition('.')[2]}.py"


def _with_plan(plain: dict[str, Any]) -> dict[str, Any]:
    """Convert ranges, and the batch at their optimum, to a shape plan."""
    kept = dict(plain)
    ranges, batch = kept.pop("shapes"), kept.pop("batch", None)
    optimum = {name: of.get("optimum") if isinstance(of, dict) else of for name, of in ranges.items()}
    plan = {"profiles": [{"ranges": ranges}], "cases": [{"shapes": optimum, "batch": batch}]}
    return {"plan": plan, **kept}
