"""Which study a search belongs to: one to go on with, or a new one under a free name."""

import itertools
from typing import Literal

from engines.errors import UserError
from engines.wire import digest
from studies.identity import machine_identity, workload_identity
from studies.records import StudySpec
from studies.storage import Storage


def choose_study(
    storage: Storage, spec: StudySpec, name: str | None, mode: Literal["continue", "resume", "new"]
) -> tuple[str, bool]:
    """The study's name, and whether it exists; raises UserError where the request does not fit.

    Without a name it is the newest study with this specification, and else a new one named after the model.
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


def differences(old: StudySpec, new: StudySpec) -> list[str]:
    """In what two specifications differ, in words; empty when one study may go on as the other."""
    checks = (
        ("model", old.workload.model.digest, new.workload.model.digest),
        ("machine", machine_identity(old.machine), machine_identity(new.machine)),
        ("backend", (old.backend, old.backend_options), (new.backend, new.backend_options)),
        ("shapes or inputs", workload_identity(old.workload)[1:], workload_identity(new.workload)[1:]),
        ("objective", old.objectives, new.objectives),
        ("constraint", old.constraints, new.constraints),
        ("search space", _choices(old), _choices(new)),
    )
    return [name for name, before, after in checks if digest(before) != digest(after)]


def _require_same(name: str, old: StudySpec | None, new: StudySpec) -> None:
    different = differences(old, new) if old is not None else []
    if old is None or not different:
        return
    detail = ""
    if different[0] == "model":
        detail = f" ({old.workload.model.path}, not {new.workload.model.path})"
    elif different[0] == "backend":
        detail = f" ({old.backend}, not {new.backend})"
    elif different[0] == "machine":
        detail = f" ({_machine(old)}, not {_machine(new)})"
    raise UserError(
        f"the study {name!r} belongs to another {' and another '.join(different)}{detail}",
        "Choose another name with --study.",
    )


def _machine(spec: StudySpec) -> str:
    libraries = ", ".join(f"{name} {version}" for name, version in spec.machine.libraries.items())
    return f"{spec.machine.processor} with {spec.machine.cores} cores and {libraries}"


def _choices(spec: StudySpec) -> list[object]:
    return [(dimension.name, dimension.choices) for dimension in spec.space]


def _newest_like(storage: Storage, spec: StudySpec, names: tuple[str, ...]) -> str | None:
    for name in reversed(names):
        stored = storage.find_spec(name)
        if stored is not None and not differences(stored, spec):
            return name
    return None


def _free_name(spec: StudySpec, names: tuple[str, ...]) -> str:
    stem = spec.workload.model.path.replace("\\", "/").rpartition("/")[2].removesuffix(".onnx") or "study"
    numbered = (f"{stem}-{number}" for number in itertools.count(2))
    return next(name for name in itertools.chain([stem], numbered) if name not in names)
