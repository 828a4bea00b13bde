"""Choose the study that a search belongs to: an existing one to resume, or a new one under a free name."""

import itertools
from typing import Literal

from engines.core.errors import UserError
from engines.core.values import Workload
from engines.core.wire import digest
from engines.shapes.plan import identity
from engines.shapes.text import format_shapes
from studies.core.identity import chosen, machine_identity
from studies.core.records import StudySpec
from studies.storage.storage import Storage

# in bytes of UTF-8: file systems take 255, and a number or a suffix may be added
LONGEST_NAME = 200


def choose_study(
    storage: Storage, spec: StudySpec, name: str | None, mode: Literal["continue", "resume", "new"]
) -> tuple[str, bool]:
    """Return the study's name, and whether it exists; raises UserError if the request does not fit.

    The default is the newest study with this specification, else a new one named after the model.
    """
    names = storage.study_names()
    if name is None:
        name = None if mode == "new" else _newest_like(storage, spec, names)
        if name is not None:
            return name, True
        if mode == "resume":
            raise UserError("there is no study of this search to resume", "Leave --resume out to begin one.")
        return _free_name(spec, names), False
    if name not in names:
        if mode == "resume":
            known = f" Known: {', '.join(names[-5:])}." if names else ""
            raise UserError(
                f"there is no study {name!r} to resume", f"Leave --resume out to begin it.{known}"
            )
        return name, False
    if mode == "new":
        raise UserError(
            f"a study {name!r} exists already", "Choose another name, or leave --new out to go on."
        )
    _require_same(name, storage.find_spec(name), spec)
    return name, True


def check_name(name: str) -> None:
    """Raise UserError for a name that cannot be typed, or cannot be a folder's."""
    hint = "Give the study another name, or leave --study out."
    if not name.strip():
        raise UserError("the study's name is empty", hint)
    if len(name.encode(errors="replace")) > LONGEST_NAME:
        raise UserError(f"the study's name is longer than {LONGEST_NAME} bytes", hint)
    if name[0] in "-." or name != name.strip():
        raise UserError(
            f"the study's name {name!r} begins with '-' or '.', or has space around it, and may not", hint
        )
    wrong = next((character for character in name if character in "/\\" or not character.isprintable()), None)
    if wrong is not None:
        raise UserError(f"the study's name {name!r} may not have {wrong!r} in it", hint)


def differences(old: StudySpec, new: StudySpec) -> dict[str, str]:
    """Return how two specifications differ; empty if one study may resume the other."""
    before, after = old.workload, new.workload
    files = (before.model.file.where, after.model.file.where)
    machines = (machine_identity(old.machine), machine_identity(new.machine))
    checks = (
        ("model", before.model.digest, after.model.digest, files),
        ("machine", *machines, (_machine(old), _machine(new))),
        ("backend", _backend(old), _backend(new), (_backend(old), _backend(new))),
        ("shapes", identity(before.plan), identity(after.plan), (_shapes(before), _shapes(after))),
        ("inputs", _inputs(before), _inputs(after), (_inputs(before), _inputs(after))),
        ("objective", old.objectives, new.objectives, (_objectives(old), _objectives(new))),
        ("constraint", old.constraints, new.constraints, (_constraints(old), _constraints(new))),
        ("way of timing", _timing(old), _timing(new), (_timing(old), _timing(new))),
        ("duration", _times(old), _times(new), (_times(old), _times(new))),
        ("search space", _choices(old), _choices(new), ("", "")),
        *_options(before, after),
    )
    return {what: _said(*said) for what, left, right, said in checks if digest(left) != digest(right)}


def _require_same(name: str, old: StudySpec | None, new: StudySpec) -> None:
    different = differences(old, new) if old is not None else {}
    if different:
        said = " and ".join(f"another {what}{detail}" for what, detail in different.items())
        raise UserError(f"the study {name!r} belongs to {said}", "Choose another name with --study.")


def _said(before: str, after: str) -> str:
    if before == after:
        return ""
    return f" ({before or 'none'}, not {after or 'none'})"


def _machine(spec: StudySpec) -> str:
    libraries = ", ".join(f"{name} {version}" for name, version in spec.machine.libraries.items())
    return f"{spec.machine.processor} with {spec.machine.cores} cores and {libraries}"


def _backend(spec: StudySpec) -> str:
    options = ",".join(f"{name}={value}" for name, value in spec.backend_options.items())
    return f"{spec.backend}:{options}" if options else spec.backend


def _shapes(workload: Workload) -> str:
    return format_shapes({name: of.optimum for name, of in workload.plan.ranges.items()})


def _inputs(workload: Workload) -> str:
    source = workload.inputs
    return f"a file of sha256 {source.digest[:12]}" if source.digest else f"random of seed {source.seed}"


def _options(before: Workload, after: Workload) -> list[tuple[str, object, object, tuple[str, str]]]:
    old, new = chosen(before), chosen(after)
    return [(what, old.get(what), new.get(what), ("", "")) for what in {**old, **new}]


def _objectives(spec: StudySpec) -> str:
    return ", ".join(objective.metric for objective in spec.objectives)


def _constraints(spec: StudySpec) -> str:
    return ", ".join(str(constraint) for constraint in spec.constraints)


def _timing(spec: StudySpec) -> str:
    """Describe how the timing differs from that of warm engines, without copies, that have the device to
    themselves.
    """
    policy = spec.policy
    asked = {"--transfers": policy.transfers, "--cold": policy.cold, "--together": policy.loads_together}
    return ", ".join(option for option, is_asked in asked.items() if is_asked)


def _times(spec: StudySpec) -> str:
    policy = spec.policy
    least, most = policy.minimum_seconds, policy.maximum_seconds
    measuring = f"{least:g} s" if least == most else f"{least:g} s to {most:g} s"
    return f"{policy.warmup_seconds:g} s of warm-up, {measuring} of measuring"


def _choices(spec: StudySpec) -> list[object]:
    return [(dimension.name, dimension.choices) for dimension in spec.space]


def _newest_like(storage: Storage, spec: StudySpec, names: tuple[str, ...]) -> str | None:
    for name in reversed(names):
        stored = storage.find_spec(name)
        if stored is not None and not differences(stored, spec):
            return name
    return None


def _free_name(spec: StudySpec, names: tuple[str, ...]) -> str:
    first = stem(spec.workload.model.file.name)
    numbered = (f"{first}-{number}" for number in itertools.count(2))
    return next(name for name in itertools.chain([first], numbered) if name not in names)


def stem(file: str) -> str:
    """Return the model's name, changed to a valid study name."""
    name = file.replace("\\", "/").rpartition("/")[2].removesuffix(".onnx")
    printable = "".join(character if character.isprintable() else "_" for character in name)
    short = printable.lstrip("-. ").encode()[: LONGEST_NAME - 20].decode(errors="ignore")
    return short.strip() or "study"
