"""The backends `tensorrt` and `tensorrt-rtx`."""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from engines.backends.base import DescribedFile, Detail, Runner
from engines.backends.tensorrt.bindings import caches
from engines.backends.tensorrt.bindings.monitor import Messages
from engines.backends.tensorrt.bindings.options import read_options
from engines.backends.tensorrt.bindings.refusals import guarded
from engines.backends.tensorrt.bindings.vendor import load_vendor
from engines.backends.tensorrt.build import build as building
from engines.backends.tensorrt.build import network, op_support, space, weak_typing
from engines.backends.tensorrt.run import load
from engines.core.errors import EngineError, UserError
from engines.core.values import (
    Candidate,
    Dimension,
    Machine,
    Policy,
    Settings,
    Tensors,
    Value,
    Workload,
)
from engines.graphs.dimensions import Target
from engines.graphs.recipe import GraphRecipe
from engines.machine import cpu, gpu, gpu_conditions
from engines.machine.device import Device
from engines.machine.device_lock import Shared
from engines.machine.telemetry import Probe
from engines.shapes.plan import profile_shapes


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

    def device(self) -> Device:
        return gpu.device(self._options.device)

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
        return (
            *self.graphs(workload).dimensions(),
            *space.dimensions(self._vendor, probe, parser, workload, concurrent),
        )

    def graphs(self, workload: Workload) -> GraphRecipe:
        return GraphRecipe(self._target(workload), workload, self._folder)

    def engine_key(self, workload: Workload, candidate: Candidate) -> object:
        profiles = profile_shapes(workload, candidate)
        # one is named as ever, so that engines of earlier versions are found
        profile = profiles[0] if len(profiles) == 1 else profiles
        more = [*self._plugin_key, *weak_typing.key(workload, candidate.graph)]
        return [self._identity(), candidate.graph["precision"] == "fp32", profile, *more]

    def build(
        self,
        graph: Path,
        workload: Workload,
        candidate: Candidate,
        folder: Path,
        report: Detail,
    ) -> Mapping[str, Value]:
        job = building.Job(
            self._vendor,
            self._messages,
            self._options,
            workload,
            candidate,
            self._folder,
            self._timing_cache(),
            report,
        )
        return building.build(job, graph, folder)

    def open(
        self,
        folder: Path,
        workload: Workload,
        settings: Settings,
        inputs: Tensors,
        policy: Policy = Policy(),
    ) -> Runner:
        from engines.backends.tensorrt.run.runner import LaneSettings, Loaded, open_runner

        vendor, messages = self._vendor, self._messages
        engine = load.load(vendor, messages, folder)
        cache = self._runtime_cache()
        create_context, release = load.contexts(vendor, messages, engine, settings, cache)
        loaded = Loaded(vendor.module, engine, create_context, release)
        lanes = LaneSettings(
            streams=int(settings["streams"]),
            cuda_graph=bool(settings["cuda_graph"]),
            graph_fallback=self._options.graph_fallback,
            device=self._options.device,
        )
        return open_runner(loaded, lanes, policy, inputs)

    def describe(self, file: Path, settings: Settings) -> DescribedFile:
        from engines.backends.tensorrt.inspect import plan

        def opened(workload: Workload, inputs: Tensors, policy: Policy) -> Runner:
            with plan.in_folder(file, load.ENGINE) as folder:
                return self.open(folder, workload, settings, inputs, policy)

        with plan.in_folder(file, load.ENGINE) as folder:
            engine = load.load(self._vendor, self._messages, folder)
        module = self._vendor.module
        inputs, outputs = (plan.tensors(module, engine, mode) for mode in ("INPUT", "OUTPUT"))
        return DescribedFile(inputs, outputs, plan.ranges(engine, inputs), opened)

    def probe(self) -> Probe:
        return self._probe

    def clock(self) -> float:
        return time.perf_counter()

    def _target(self, workload: Workload) -> Target:
        found = space.target(self._vendor, self._capability())
        return replace(found, refused=op_support.refused(self._vendor, frozenset(workload.model.operators)))

    def _capability(self) -> float | None:
        """Such as 9.0; None without a GPU, which can build for RTX."""
        try:
            return float(self._machine.limits["compute_capability"])
        except UserError:
            return None

    @cached_property
    def _probe(self) -> Probe:
        return gpu.probe(self._options.device)

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
            return building.open_builder(self._vendor, self._messages, self._options)
        except EngineError as error:
            raise UserError(
                f"{self.name} cannot make a builder: {error.message}",
                "Check that its version fits the NVIDIA driver.",
            ) from error

    @cached_property
    def _plugin_key(self) -> tuple[Value, ...]:
        """Engines of another version of a plugin are other engines; nothing where there is none."""
        digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in self._options.plugins]
        return (self._options.serialize_plugins, *digests) if digests else ()

    def _timing_cache(self) -> caches.CacheFile | None:
        """None on RTX, whose builder times nothing."""
        return None if self._vendor.is_rtx else caches.cache_file(self._folder, "timing", self._machine)

    def _runtime_cache(self) -> caches.CacheFile | None:
        """None but on RTX, which compiles kernels where an engine runs."""
        return caches.cache_file(self._folder, "runtime", self._machine) if self._vendor.is_rtx else None

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
