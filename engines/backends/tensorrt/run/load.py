"""An engine from its folder, and the execution contexts that are made of it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from engines.backends.tensorrt.bindings import caches
from engines.backends.tensorrt.bindings.monitor import Messages
from engines.backends.tensorrt.bindings.refusals import guarded
from engines.backends.tensorrt.bindings.vendor import Vendor
from engines.core.values import Settings

ENGINE = "engine.plan"


def load(vendor: Vendor, messages: Messages, folder: Path) -> Any:
    """The engine in the folder; raises EngineError where the library does not take it."""
    runtime = vendor.module.Runtime(messages.logger)
    # version-compatible engines carry code of their own; all that come here were built here
    runtime.engine_host_code_allowed = True
    plan = (folder / ENGINE).read_bytes()
    return guarded(lambda: runtime.deserialize_cuda_engine(plan), messages)


def contexts(
    vendor: Vendor, messages: Messages, engine: Any, settings: Settings, cache: caches.CacheFile | None
) -> tuple[Callable[[], Any], Callable[[], None]]:
    """What makes a context of the engine, and what is called once all of them are closed.

    `cache` keeps the kernels that TensorRT-RTX compiles; None on TensorRT, which compiles none.
    """
    create = engine.create_execution_context
    if cache is None:
        return lambda: guarded(create, messages), lambda: None
    config = _runtime_config(vendor, engine, settings)
    kernels, known = caches.attach_runtime_cache(config, cache)
    return (
        lambda: guarded(lambda: create(config), messages),
        lambda: caches.save_runtime_cache(kernels, cache, known),
    )


def _runtime_config(vendor: Vendor, engine: Any, settings: Settings) -> Any:
    config = engine.create_runtime_config()
    if "kernel_specialization" in settings:
        config.dynamic_shapes_kernel_specialization_strategy = vendor.member(
            "DynamicShapesKernelSpecializationStrategy", str(settings["kernel_specialization"]).upper()
        )
    return config
