"""The backends `tensorrt` and `tensorrt-rtx`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from engines import cpu, gpu, reference
from engines.backends.base import Runner
from engines.backends.tensorrt import caches, config, inspection, network, space
from engines.backends.tensorrt.monitor import SEVERITIES, Messages, progress_monitor
from engines.backends.tensorrt.vendor import load_vendor
from engines.errors import EngineError, UserError
from engines.quantization import RECIPE, convert_fp16
from engines.values import Candidate, Dimension, Machine, Settings, Tensors, Value, Workload
from engines.wire import to_json

ENGINE = "engine.plan"
LAYERS = "layers.json"
OPTIONS: Mapping[str, Value] = {"device": 0, "log": "WARNING", "plugins": ""}


def tensorrt(options: Settings, folder: Path) -> "TensorRT":
    """The backend over the module tensorrt."""
    return TensorRT("tensorrt", options, folder)


def tensorrt_rtx(options: Settings, folder: Path) -> "TensorRT":
    """The backend over the module tensorrt_rtx."""
    return TensorRT("tensorrt-rtx", options, folder)


@dataclass(frozen=True)
class _Options:
    device: int
    log: str
    plugins: tuple[Path, ...]


class TensorRT:
    """A backend over one of the two modules; `folder` keeps its caches."""

    def __init__(self, name: str, options: Settings, folder: Path) -> None:
        self.name = name
        self._folder = folder
        self._options = _read_options(name, options)
        self._vendor = load_vendor(name)
        self._messages = Messages(self._vendor, self._options.log)
        self._load_plugins()

    def machine(self) -> Machine:
        return self._machine

    def warnings(self) -> tuple[str, ...]:
        return gpu.disturbances(self._options.device)

    def dimensions(self, workload: Workload, concurrent: bool) -> tuple[Dimension, ...]:
        builder = self._vendor.module.Builder(self._messages.logger)
        probe = builder.create_builder_config()
        return space.dimensions(self._vendor, probe, workload, concurrent)

    def reference(self, workload: Workload, batches: Sequence[Tensors]) -> list[Tensors]:
        return reference.run(workload, batches)

    def graph_key(self, workload: Workload, settings: Settings) -> object:
        return [RECIPE, settings["precision"]] if settings["precision"] == "fp16" else None

    def make_graph(self, workload: Workload, settings: Settings, file: Path) -> Mapping[str, Value]:
        try:
            convert_fp16(Path(workload.model.path), file, workload.model.weight_bytes)
        except (EngineError, MemoryError, OSError):
            raise
        except Exception as error:
            raise EngineError(f"cannot make the fp16 graph: {error}") from error
        return {}

    def engine_key(self, workload: Workload, candidate: Candidate) -> object:
        profile = space.profile_shapes(workload, candidate)
        return [self._identity(), candidate.graph["precision"] == "fp32", profile]

    def build(
        self,
        graph: Path,
        workload: Workload,
        candidate: Candidate,
        folder: Path,
        report: Callable[[str], None],
    ) -> Mapping[str, Value]:
        vendor = self._vendor
        builder = vendor.module.Builder(self._messages.logger)
        self._messages.take_errors()
        # the parser must outlive the build: it owns the weights
        parsed, parser = network.parse(vendor, builder, graph, self._messages)
        options = builder.create_builder_config()
        shapes = space.profile_shapes(workload, candidate)
        tf32 = candidate.graph["precision"] != "fp32"
        config.apply(vendor, options, candidate.build, tf32=tf32, shapes=shapes, builder=builder)
        options.progress_monitor = monitor = progress_monitor(vendor, report)
        cache = self._timing_cache()
        before = caches.attach_timing_cache(options, cache) if cache else 0
        plan = _guarded(lambda: builder.build_serialized_network(parsed, options), self._messages)
        del parser, monitor
        (folder / ENGINE).write_bytes(plan)
        facts = caches.cache_facts(before, caches.save_timing_cache(options, cache)) if cache else {}
        return {**facts, **self._inspect(folder, str(candidate.graph["precision"]))}

    def open(self, folder: Path, workload: Workload, settings: Settings, inputs: Tensors) -> Runner:
        from engines.backends.tensorrt.runner import LaneSettings, Loaded, open_runner

        engine = self._load(folder)
        options, on_close = self._runtime_config(engine, settings)
        loaded = Loaded(self._vendor.module, engine, lambda: self._context(engine, options), on_close)
        lanes = LaneSettings(
            streams=int(settings["streams"]),
            cuda_graph=bool(settings["cuda_graph"]),
            transfers=bool(settings["transfers"]),
            device=self._options.device,
        )
        return open_runner(loaded, lanes, inputs)

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

    def _timing_cache(self) -> caches.CacheFile | None:
        """None on RTX, whose builder times nothing."""
        return None if self._vendor.is_rtx else caches.cache_file(self._folder, "timing", self._machine)

    def _load_plugins(self) -> None:
        registry = self._vendor.module.get_plugin_registry() if self._options.plugins else None
        for path in self._options.plugins:
            if registry is None or registry.load_library(str(path)) is None:
                raise UserError(
                    f"the plugin library {path} cannot be loaded", "Check the path and its symbols."
                )

    def _load(self, folder: Path) -> Any:
        runtime = self._vendor.module.Runtime(self._messages.logger)
        plan = (folder / ENGINE).read_bytes()
        return _guarded(lambda: runtime.deserialize_cuda_engine(plan), self._messages)

    def _runtime_config(self, engine: Any, settings: Settings) -> tuple[Any, Callable[[], None]]:
        """RTX's strategy and its cache of compiled kernels, saved when the engine is closed."""
        if not self._vendor.is_rtx:
            return None, lambda: None
        options = engine.create_runtime_config()
        strategy = str(settings["kernel_specialization"]).upper()
        options.dynamic_shapes_kernel_specialization_strategy = self._vendor.member(
            "DynamicShapesKernelSpecializationStrategy", strategy
        )
        file = caches.cache_file(self._folder, "runtime", self._machine)
        cache = caches.attach_runtime_cache(options, file)
        return options, lambda: caches.save_runtime_cache(cache, file)

    def _context(self, engine: Any, options: Any) -> Any:
        create = engine.create_execution_context
        return _guarded(lambda: create() if options is None else create(options), self._messages)

    def _inspect(self, folder: Path, precision: str) -> Mapping[str, Value]:
        """What the engine is, where a GPU can tell; its layers are kept beside it."""
        if not gpu.has_gpu():
            return {}
        found = inspection.layers(self._vendor, self._load(folder))
        (folder / LAYERS).write_bytes(to_json(found))
        return inspection.facts(found, precision)


def _guarded(call: Callable[[], Any], messages: Messages) -> Any:
    """What the vendor's call gives; raises EngineError with what it logged when that is nothing."""
    messages.take_errors()
    try:
        made = call()
    except (RuntimeError, TypeError, ValueError) as error:
        raise _refusal([*messages.take_errors(), str(error)]) from error
    if made is None:
        raise _refusal(messages.take_errors())
    return made


def _refusal(errors: list[str]) -> EngineError:
    text = " ".join("; ".join(dict.fromkeys(errors[:2])).split()) or "the vendor's library gives no reason"
    memory = any(word in text.lower() for word in ("out of memory", "outofmemory", "insufficient memory"))
    return EngineError(text, kind="out_of_memory" if memory else "refused")


def _read_options(name: str, options: Settings) -> _Options:
    unknown = sorted(set(options) - set(OPTIONS))
    if unknown:
        raise UserError(f"the backend {name} has no option {unknown[0]!r}", f"Known: {', '.join(OPTIONS)}.")
    values = {**OPTIONS, **options}
    level = str(values["log"]).upper()
    if level not in SEVERITIES:
        raise UserError(
            f"the backend {name} has no log level {values['log']!r}", f"Known: {', '.join(SEVERITIES)}."
        )
    plugins = tuple(Path(path) for path in str(values["plugins"]).split("+") if path)
    missing = [path for path in plugins if not path.is_file()]
    if missing:
        raise UserError(f"no such plugin library: {missing[0]}", "Check the path.")
    return _Options(int(values["device"]), level, plugins)
