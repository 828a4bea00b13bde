"""Read the JSON that earlier versions stored."""

from typing import Any, TypeVar

import msgspec

from engines.core import wire

T = TypeVar("T")


def from_json(text: bytes | str, of: type[T]) -> T:
    """Return the value of type `of`, which has a workload; raises msgspec.DecodeError naming the wrong
    field.
    """
    plain = msgspec.json.decode(text)
    if isinstance(plain, dict) and isinstance(plain.get("workload"), dict):
        plain = {**plain, "workload": workload(plain["workload"])}
    return wire.from_plain(plain, of)


def workload(plain: dict[str, Any]) -> dict[str, Any]:
    """Return a workload's JSON in today's form; JSON of no earlier form is returned unchanged."""
    return _with_plan(plain) if isinstance(plain.get("shapes"), dict) else plain


def _with_plan(plain: dict[str, Any]) -> dict[str, Any]:
    """Convert ranges, and the batch at their optimum, to a shape plan."""
    kept = dict(plain)
    ranges, batch = kept.pop("shapes"), kept.pop("batch", None)
    optimum = {name: of.get("optimum") if isinstance(of, dict) else of for name, of in ranges.items()}
    plan = {"profiles": [{"ranges": ranges}], "cases": [{"shapes": optimum, "batch": batch}]}
    return {"plan": plan, **kept}
