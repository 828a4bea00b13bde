"""Build an engine from a graph: parse, configure, build, and inspect the result."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.artifacts.fingerprints import FINGERPRINT, digest_of_files
from engines.backends.base import Detail
from engines.backends.tensorrt.bindings import caches
from engines.backends.tensorrt.bindings.caches import CacheFile
from engines.backends.tensorrt.bindings.monitor import Messages, progress_monitor
from engines.backends.tensorrt.bindings.options import Options
from engines.backends.tensorrt.bindings.refusals import explained, guarded
from engines.backends.tensorrt.bindings.vendor import Vendor
from engines.backends.tensorrt.build import network, weak_typing
from engines.backends.tensorrt.build.config import apply
from engines.backends.tensorrt.inspect import layers
from engines.backends.tensorrt.inspect.layers import fingerprint
from engines.backends.tensorrt.run.load import ENGINE, load
from engines.core.values import Candidate, Value, Workload
from engines.core.wire import to_json
from engines.graphs.context import GraphContext
from engines.machine import gpu
from engines.shapes.plan import profile_shapes

LAYERS = "layers.json"


@dataclass(frozen=True)
class Job:
    """What is built, with what, and whom to tell; `timing_cache` is None where the builder times nothing."""

    vendor: Vendor
    messages: Messages
    options: Options
    workload: Workload
    candidate: Candidate
    caches: Path
    timing_cache: CacheFile | None
    report: Detail

    @property
    def precision(self) -> str:
        return str(self.candidate.graph["precision"])


def open_builder(vendor: Vendor, messages: Messages, options: Options) -> Any:
    builder = guarded(lambda: vendor.module.Builder(messages.logger), messages)
    if options.builder_threads:
        builder.max_threads = options.builder_threads
    return builder


def build(job: Job, graph: Path, folder: Path) -> Mapping[str, Value]:
    """Writes the engine, and its layers beside it, and gives facts; raises EngineError."""
    vendor, messages = job.vendor, job.messages
    builder = open_builder(vendor, messages, job.options)
    config = builder.create_builder_config()
    with explained(messages):
        # the parser must outlive the build: it owns the weights
        parsed, parser = network.parse(
            vendor,
            builder,
            graph,
            messages,
            job.candidate.build,
            weakly_typed=weak_typing.is_weak(job.precision),
        )
        _configure(job, builder, config)
    config.progress_monitor = monitor = progress_monitor(vendor, job.report)
    cache = job.timing_cache
    before = caches.attach_timing_cache(config, cache) if cache else 0
    with _typed(job, builder, parsed, config) as typing:
        plan = guarded(lambda: builder.build_serialized_network(parsed, config), messages)
    del parser, monitor
    (folder / ENGINE).write_bytes(plan)
    facts = caches.cache_facts(before, caches.save_timing_cache(config, cache)) if cache else {}
    return {**facts, **typing, **_inspect(job, folder)}


def _configure(job: Job, builder: Any, config: Any) -> None:
    if job.options.serialize_plugins:
        config.plugins_to_serialize = [str(path) for path in job.options.plugins]
    profiles = profile_shapes(job.workload, job.candidate)
    tf32 = job.precision != "fp32"
    apply(job.vendor, config, job.candidate.build, tf32=tf32, profiles=profiles, builder=builder)


@contextmanager
def _typed(job: Job, builder: Any, parsed: Any, config: Any) -> Iterator[Mapping[str, Value]]:
    """Tells the builder what a weakly typed network may be computed in, and gives facts about it."""
    vendor, settings = job.vendor, job.candidate.graph
    if not weak_typing.is_weak(job.precision):
        yield {}
        return
    keep = weak_typing.kept(GraphContext(job.workload, settings, job.caches, job.report))
    with weak_typing.quietly():
        with explained(job.messages):
            facts = weak_typing.allow(vendor, parsed, config, job.candidate, keep)
        if not weak_typing.calibrates(vendor, parsed, settings):
            yield facts
            return
        from engines.backends.tensorrt.build import calibrators

        source = calibrators.source(job.caches, vendor, parsed, job.workload, settings)
        with calibrators.calibrating(vendor, builder, config, source, job.options.device) as more:
            yield {**facts, **more}


def _inspect(job: Job, folder: Path) -> Mapping[str, Value]:
    """What the engine is, as far as a GPU or its bytes can tell; its layers are kept beside it."""
    # RTX does not tell its kernels, and makes the same plan of the same network each time
    known = {FINGERPRINT: digest_of_files(folder / ENGINE)} if job.vendor.is_rtx else {}
    if not gpu.has_gpu():
        return known
    engine, precision = load(job.vendor, job.messages, folder), weak_typing.asked(job.precision)
    found = layers.layers(job.vendor, engine)
    (folder / LAYERS).write_bytes(to_json(found))
    facts = {**known, **layers.facts(found, precision)}
    same = fingerprint(found, engine)
    if same is not None:
        facts[FINGERPRINT] = same
    if not facts["precision_as_asked"]:
        sys.stderr.write(f"[W] no layer computes in {precision}, but {facts['layer_types']}\n")
    return facts
