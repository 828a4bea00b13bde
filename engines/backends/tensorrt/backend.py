"""The backends `tensorrt` and `tensorrt-rtx`."""

import hashlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from engines import cpu, gpu, gpu_conditions, gpu_probe, reference
from engines.backends.base import Detail, Runner
from engines.backends.tensorrt import caches, config, inspection, network, probing, space, weak
from engines.backends.tensorrt.fingerprints import fingerprint
from engines.backends.tensorrt.monitor import Messages, progress_monitor
from engines.backends.tensorrt.options import read_options
from engines.backends.tensorrt.refusals import explained, guarded
from engines.backends.tensorrt.vendor import load_vendor
from engines.errors import EngineError, UserError
from engines.graphs import choices, recipe
from engines.sharing import FINGERPRINT, digest_of_files
from engines.telemetry import Probe
from engines.turns import Shared
from engines.values import (
    Candidate,
    Dimension,
    Machine,
    Policy,
    Settings,
    ShapeRange,
    TensorFacts,
    Tensors,
    Value,
    Workload,
)
from engines.wire import to_json

ENGINE = "engine.plan"
LAYERS = "layers.json"


def tensorrt(options: Settings, folder: Path) -> "TensorRT":
    """The backend over the module tensorrt."""
    return TensorRT("tensorrt", options, folder)


def tensorrt_rtx(options: Settings, folder: Path) -> "TensorRT":
    """The backend over the module tensorrt_rtx."""
    return TensorRT("tensorrt-rtx", options, folder)


class TensorRT:
    """A backend over one of the two modules; `folder` keeps its caches."""

    def __init__(self, name: str, options: Settings, folder: Path) -> None:
        self.name = name
        self._folder = folder
        self._options = read_options(name, options)
        self._vendor = load_vendor(name)
        self._messages = Messages(self._vendor, self._options.log)
        self._load_plugins()

    def machine(self) -> Machine:
        return self._machine

    def shared(self) -> Shared:
        # RTX times no kernels when it builds
        return Shared(gpu.name_of(self._options.device), builds=not self._vendor.is_rtx)

    def warnings(self) -> tuple[str, ...]:
        return tuple(
            f"{state.name}: {state.found}. {state.advice}"
            for state in gpu_conditions.states(self._options.device)
            if state.verdict == "noisy"
        )

    def dimensions(self, workload: Workload, concurrent: bool) -> tuple[Dimension, ...]:
        builder = self._first_builder()
        probe = builder.create_builder_config()
        _, parser = network.open_parser(self._vendor, builder, self._messages)
        graph = choices.dimensions(self._target(workload), workload)
        return (*graph, *space.dimensions(self._vendor, probe, parser, workload, concurrent))

    def reference(self, workload: Workload, batches: Sequence[Tensors]) -> list[Tensors]:
        return reference.run(workload, batches)

    def graph_key(self, workload: Workload, settings: Settings) -> object:
        return recipe.graph_key(self._target(workload), workload, settings)

    def make_graph(
        self, workload: Workload, settings: Settings, file: Path, report: Detail
    ) -> Mapping[str, Value]:
        return recipe.make_graph(self._target(workload), workload, settings, file, self._folder, report)

    def engine_key(self, workload: Workload, candidate: Candidate) -> object:
        profile = space.profile_shapes(workload, candidate)
        more = [*self._plugin_key, *weak.key(workload, candidate.graph)]
        return [self._identity(), candidate.graph["precision"] == "fp32", profile, *more]

    def build(
        self,
        graph: Path,
        workload: Workload,
        candidate: Candidate,
        folder: Path,
        report: Detail,
    ) -> Mapping[str, Value]:
        vendor, messages = self._vendor, self._messages
        precision = str(candidate.graph["precision"])
        builder = self._open_builder()
        options = builder.create_builder_config()
        with explained(messages):
            # the parser must outlive the build: it owns the weights
            parsed, parser = network.parse(
                vendor, builder, graph, messages, candidate.build, weakly_typed=weak.is_weak(precision)
            )
            self._configure(options, workload, candidate, builder)
        options.progress_monitor = monitor = progress_monitor(vendor, report)
        cache = self._timing_cache()
        before = caches.attach_timing_cache(options, cache) if cache else 0
        with self._typed(builder, parsed, options, workload, candidate, report) as typing:
            plan = guarded(lambda: builder.build_serialized_network(parsed, options), messages)
        del parser, monitor
        (folder / ENGINE).write_bytes(plan)
        facts = caches.cache_facts(before, caches.save_timing_cache(options, cache)) if cache else {}
        return {**facts, **typing, **self._inspect(folder, weak.asked(precision))}

    def open(
        self,
        folder: Path,
        workload: Workload,
        settings: Settings,
        inputs: Tensors,
        policy: Policy = Policy(),
    ) -> Runner:
        from engines.backends.tensorrt.runner import LaneSettings, Loaded, open_runner

        engine = self._load(folder)
        options, on_close = self._runtime_config(engine, settings)
        loaded = Loaded(self._vendor.module, engine, lambda: self._context(engine, options), on_close)
        lanes = LaneSettings(
            streams=int(settings["streams"]),
            cuda_graph=bool(settings["cuda_graph"]),
            graph_fallback=self._options.graph_fallback,
            device=self._options.device,
        )
        return open_runner(loaded, lanes, policy, inputs)

    def tensors(
        self, folder: Path
    ) -> tuple[tuple[TensorFacts, ...], tuple[TensorFacts, ...], Mapping[str, ShapeRange]]:
        """Inputs and outputs of the engine in a folder, and the shapes that it takes, as it says itself."""
        from engines.backends.tensorrt import plan

        module, engine = self._vendor.module, self._load(folder)
        inputs, outputs = (plan.tensors(module, engine, mode) for mode in ("INPUT", "OUTPUT"))
        return inputs, outputs, plan.ranges(engine, inputs)

    def probe(self) -> Probe:
        return self._probe

    def clock(self) -> float:
        return time.perf_counter()

    def _target(self, workload: Workload) -> choices.Target:
        found = space.target(self._vendor, self._capability())
        if not self._vendor.is_rtx or not space.CONVOLUTIONS & set(workload.model.operators):
            return found
        return replace(found, no_int8_convolutions=self._no_int8_convolutions)

    @cached_property
    def _no_int8_convolutions(self) -> str:
        said = probing.refuses_int8_convolutions(self._vendor)
        return f"the builder refuses convolutions in int8: {said}" if said else ""

    def _capability(self) -> float | None:
        """Such as 9.0; None without a GPU, which can build for RTX."""
        try:
            return float(self._machine.limits["compute_capability"])
        except UserError:
            return None

    @cached_property
    def _probe(self) -> Probe:
        return gpu_probe.probe(self._options.device)

    @cached_property
    def _machine(self) -> Machine:
        libraries = {self._vendor.module.__name__: self._vendor.version}
        return gpu.describe(self._options.device, libraries, cpu.system_name())

    def _identity(self) -> object:
        """What an engine is tied to; without a GPU, which can build for RTX, the library alone."""
        try:
            machine = self._machine
        except UserError:
            return [self._vendor.version]
        return [machine.processor, machine.driver, machine.libraries, machine.limits["compute_capability"]]

    def _first_builder(self) -> Any:
        """Where none can be made for a search to begin with, the user must act."""
        try:
            return self._open_builder()
        except EngineError as error:
            raise UserError(
                f"{self.name} cannot make a builder: {error.message}",
                "Check that its version fits the NVIDIA driver.",
            ) from error

    def _open_builder(self) -> Any:
        builder = guarded(lambda: self._vendor.module.Builder(self._messages.logger), self._messages)
        if self._options.builder_threads:
            builder.max_threads = self._options.builder_threads
        return builder

    def _configure(self, options: Any, workload: Workload, candidate: Candidate, builder: Any) -> None:
        if self._options.serialize_plugins:
            options.plugins_to_serialize = [str(path) for path in self._options.plugins]
        shapes = space.profile_shapes(workload, candidate)
        tf32 = candidate.graph["precision"] != "fp32"
        config.apply(self._vendor, options, candidate.build, tf32=tf32, shapes=shapes, builder=builder)

    @contextmanager
    def _typed(
        self,
        builder: Any,
        parsed: Any,
        options: Any,
        workload: Workload,
        candidate: Candidate,
        report: Detail,
    ) -> Iterator[Mapping[str, Value]]:
        """Tells the builder what a weakly typed network may be computed in, and gives facts about it."""
        vendor, settings = self._vendor, candidate.graph
        if not weak.is_weak(settings["precision"]):
            yield {}
            return
        keep = weak.kept(recipe.Making(workload, settings, self._folder, report))
        with weak.quietly():
            with explained(self._messages):
                facts = weak.allow(vendor, parsed, options, candidate, keep)
            if not weak.calibrates(vendor, parsed, settings):
                yield facts
                return
            from engines.backends.tensorrt import calibrators

            source = calibrators.source(self._folder, vendor, parsed, workload, settings)
            device = self._options.device
            with calibrators.calibrating(vendor, builder, options, source, device) as more:
                yield {**facts, **more}

    @cached_property
    def _plugin_key(self) -> tuple[Value, ...]:
        """Engines of another version of a plugin are other engines; nothing where there is none."""
        digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in self._options.plugins]
        return (self._options.serialize_plugins, *digests) if digests else ()

    def _timing_cache(self) -> caches.CacheFile | None:
        """None on RTX, whose builder times nothing."""
        return None if self._vendor.is_rtx else caches.cache_file(self._folder, "timing", self._machine)

    def _load_plugins(self) -> None:
        """The vendor's own, which RTX has none of, and those asked for."""
        if not self._vendor.is_rtx:
            self._vendor.module.init_libnvinfer_plugins(self._messages.logger, "")
        if not self._options.plugins:
            return
        # the registry logs to the logger that a living builder brought
        builder = self._first_builder()
        for path in self._options.plugins:
            registry = self._vendor.module.get_plugin_registry()
            try:
                guarded(partial(registry.load_library, str(path)), self._messages)
            except EngineError as error:
                raise UserError(
                    f"the plugin library {path} cannot be loaded: {error.message}",
                    "Check its symbols, and the TensorRT that it was made for.",
                ) from error
        del builder

    def _load(self, folder: Path) -> Any:
        runtime = self._vendor.module.Runtime(self._messages.logger)
        # version-compatible engines carry code of their own; all that come here were built here
        runtime.engine_host_code_allowed = True
        plan = (folder / ENGINE).read_bytes()
        return guarded(lambda: runtime.deserialize_cuda_engine(plan), self._messages)

    def _runtime_config(self, engine: Any, settings: Settings) -> tuple[Any, Callable[[], None]]:
        """RTX's strategy and its cache of compiled kernels, saved when the engine is closed."""
        if not self._vendor.is_rtx:
            return None, lambda: None
        options = engine.create_runtime_config()
        if "kernel_specialization" in settings:
            options.dynamic_shapes_kernel_specialization_strategy = self._vendor.member(
                "DynamicShapesKernelSpecializationStrategy", str(settings["kernel_specialization"]).upper()
            )
        file = caches.cache_file(self._folder, "runtime", self._machine)
        cache = caches.attach_runtime_cache(options, file)
        return options, lambda: caches.save_runtime_cache(cache, file)

    def _context(self, engine: Any, options: Any) -> Any:
        create = engine.create_execution_context
        return guarded(lambda: create() if options is None else create(options), self._messages)

    def _inspect(self, folder: Path, precision: str) -> Mapping[str, Value]:
        """What the engine is, as far as a GPU or its bytes can tell; its layers are kept beside it."""
        # RTX does not tell its kernels, and makes the same plan of the same network each time
        known = {FINGERPRINT: digest_of_files(folder / ENGINE)} if self._vendor.is_rtx else {}
        if not gpu.has_gpu():
            return known
        engine = self._load(folder)
        found = inspection.layers(self._vendor, engine)
        (folder / LAYERS).write_bytes(to_json(found))
        facts = {**known, **inspection.facts(found, precision)}
        same = fingerprint(found, engine)
        if same is not None:
            facts[FINGERPRINT] = same
        if not facts["precision_as_asked"]:
            sys.stderr.write(f"[W] no layer computes in {precision}, but {facts['layer_types']}\n")
        return facts
