"""What drive.py does with the builder: a build for each value of a dimension, plugins, refusals, caches."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from engines.core.errors import EngineError
from engines.core.values import Dimension
from studies.core.space import baseline_of, candidate_at
from tests.contracts.driving import Drive, build, conv
from tests.contracts.scripts import content_of
from tests.contracts.standins import Behaviour


def plugins(drive: Drive) -> object:
    library = drive.folder / "libplugin.so"
    library.write_bytes(b"")
    backend, script = drive.open(plugins=str(library), serialize_plugins=True, builder_threads=3)
    workload = conv(drive.folder)
    build(drive, backend, workload)
    candidate = baseline_of(backend.dimensions(workload, concurrent=False))
    keys = [drive.open()[0].engine_key(workload, candidate)]
    for content in (b"", b"", b"another version"):
        library.write_bytes(content)
        keys.append(drive.open(plugins=str(library))[0].engine_key(workload, candidate))
    return {"loaded": script.loaded, "told": script.told, "keys": keys}


def builds(drive: Drive) -> list[Any]:
    """The config that the builder got for the baseline, and for each other value of each dimension."""
    workload = conv(drive.folder)
    backend, _ = drive.open()
    dimensions = backend.dimensions(workload, concurrent=True)
    default = {one.name: one.default for one in dimensions}
    asked = [("", 0), *((one.name, value) for one in dimensions for value in _values(one))]
    found = []
    for name, value in asked:
        candidate = candidate_at(dimensions, {**default, name: value} if name else default)
        backend, script = drive.open()
        facts = drive.attempt(f"{name}={value}", partial(build, drive, backend, workload, candidate))
        kind = next((one.kind for one in dimensions if one.name == name), "")
        found.append({"name": name, "kind": kind, "value": value, "told": script.told, "facts": facts})
    return found


def _values(dimension: Dimension) -> Iterator[Any]:
    """What a dimension can be but its default; an integer of one's own where any may be."""
    offered = dict.fromkeys((*dimension.choices, *dimension.fixable))
    own = [7] if dimension.any_integer and 7 not in offered else []
    if dimension.kind != "run":
        yield from (value for value in (*offered, *own) if value != dimension.default)


def refused_graph(drive: Drive) -> str:
    return _refusal(
        drive, {"OnnxParser.parse_from_file": lambda *_: False, "OnnxParser.num_errors": lambda _: 2}
    )


def refused_build(drive: Drive) -> str:
    return _refusal(drive, {"Builder.build_serialized_network": lambda *_: None})


def _refusal(drive: Drive, behaviours: Mapping[str, Behaviour]) -> str:
    backend, script = drive.open()
    script.world.behaviours |= behaviours
    try:
        build(drive, backend, conv(drive.folder))
    except EngineError as error:
        return str(error)
    raise AssertionError("nothing was refused")


def caches(drive: Drive) -> list[Any]:
    """The facts of a cold build, of one that finds the first one's cache, and of one that refuses it."""
    for file in drive.folder.glob("*.cache"):
        file.unlink()
    found = []
    for fits in (True, True, False):
        backend, script = drive.open()
        if not fits:
            attach = script.world.behaviours["IBuilderConfig.set_timing_cache"]
            script.world.behaviours["IBuilderConfig.set_timing_cache"] = partial(_attach_empty, attach)
        found.append(build(drive, backend, conv(drive.folder)))
    return found


def _attach_empty(attach: Behaviour, config: Any, cache: Any, ignore_mismatch: bool) -> bool:
    """As the library does with a cache of another device."""
    return not content_of(cache) and attach(config, cache, ignore_mismatch)
