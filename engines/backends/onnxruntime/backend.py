"""ONNX Runtime on the CPU.

The engine is the optimized model that ONNX Runtime saves; it is loaded again with all optimizations off, so
that run specs share it. Timing is by the host's clock around bound runs, one client thread a stream.
"""

import os
import platform
import re
import tempfile
import time
from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import onnx
import onnxruntime as ort

from engines.artifacts.fingerprints import FINGERPRINT, digest_of_files
from engines.backends.base import DescribedFile, Detail, Runner
from engines.backends.onnxruntime.session import SessionRunner
from engines.core.errors import UserError
from engines.core.values import (
    Candidate,
    Dimension,
    Machine,
    Policy,
    Settings,
    TensorFacts,
    Tensors,
    Value,
    Workload,
)
from engines.graphs.dimensions import Target
from engines.graphs.recipe import GraphRecipe
from engines.machine import cpu
from engines.machine.device import Device
from engines.machine.device_lock import Shared
from engines.machine.telemetry import Probe
from engines.models.onnx_files import EXTERNAL_WEIGHTS_BYTES, has_external_weights
from engines.models.ort import PROVIDERS, translated
from engines.models.weights import dtype_name
from engines.shapes.plan import batch_choices, powers_of_two

ENGINE = "engine.onnx"
# in the order of what they do; a level that this version lacks is left out
LEVELS = {
    "disable_all": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "layout": "ORT_ENABLE_LAYOUT",
    "all": "ORT_ENABLE_ALL",
}
MODES = {"sequential": "ORT_SEQUENTIAL", "parallel": "ORT_PARALLEL"}
LARGEST_BATCH = 32
MOST_STREAMS = 8
WARNING = 2


class OnnxRuntime:
    """The backend `onnxruntime`; it has no options."""

    name = "onnxruntime"

    def __init__(self, options: Settings, folder: Path) -> None:
        if options:
            raise UserError(f"the backend onnxruntime has no option {next(iter(options))!r}", "Leave it out.")
        # its telemetry thread and its hints at start-up have no place in a measurement or a log
        ort.set_default_logger_severity(WARNING)
        self._free_cores, self._folder = cpu.available_cores(), folder

    def machine(self) -> Machine:
        return Machine(
            kind="cpu",
            processor=cpu.processor_name(),
            cores=cpu.available_cores(),
            memory_bytes=cpu.total_memory_bytes(),
            system=cpu.system_name(),
            libraries={"onnxruntime": ort.__version__},
        )

    def device(self) -> Device:
        return cpu.device()

    def shared(self) -> Shared:
        return Shared()

    def warnings(self) -> tuple[str, ...]:
        return ()

    def dimensions(self, workload: Workload, concurrent: bool) -> tuple[Dimension, ...]:
        cores = cpu.available_cores()
        threads = (0, *powers_of_two(cores))
        return (
            *self.graphs(workload).dimensions(),
            Dimension(
                "graph_optimization_level",
                "build",
                tuple(name for name, member in LEVELS.items() if hasattr(ort.GraphOptimizationLevel, member)),
                "all",
                "how far ONNX Runtime rewrites the graph",
            ),
            Dimension(
                "intra_op_threads", "run", threads, 0, "threads inside one operator; 0 is its own choice"
            ),
            Dimension("allow_spinning", "run", (True, False), True, "idle threads spin instead of sleeping"),
            Dimension(
                "execution_mode",
                "run",
                tuple(MODES),
                "sequential",
                "operators one after another, or independent ones at once",
            ),
            Dimension(
                "streams",
                "run",
                powers_of_two(min(MOST_STREAMS, 2 * cores)) if concurrent else (1,),
                1,
                "client threads that share the session",
            ),
            Dimension(
                "batch",
                "run",
                batch_choices(workload, LARGEST_BATCH) if concurrent else (workload.plan.batch,),
                workload.plan.batch,
                "samples in one inference",
            ),
        )

    def graphs(self, workload: Workload) -> GraphRecipe:
        return GraphRecipe(_target(), workload, self._folder)

    def engine_key(self, workload: Workload, candidate: Candidate) -> object:
        machine = self.machine()
        return [machine.processor, machine.libraries]

    def build(
        self, graph: Path, workload: Workload, candidate: Candidate, folder: Path, report: Detail
    ) -> Mapping[str, Value]:
        options = ort.SessionOptions()
        options.graph_optimization_level = getattr(
            ort.GraphOptimizationLevel, LEVELS[str(candidate.build["graph_optimization_level"])]
        )
        options.optimized_model_filepath = str(folder / ENGINE)
        # weights that lie beside the graph would be looked for beside the engine
        if workload.model.weight_bytes > EXTERNAL_WEIGHTS_BYTES or has_external_weights(graph):
            options.add_session_config_entry(
                "session.optimized_model_external_initializers_file_name", f"{ENGINE}.data"
            )
        translated(lambda: ort.InferenceSession(str(graph), options, providers=PROVIDERS))
        # what it saves of equal graphs is equal to the byte
        return {FINGERPRINT: digest_of_files(folder / ENGINE, folder / f"{ENGINE}.data")}

    def open(
        self,
        folder: Path,
        workload: Workload,
        settings: Settings,
        inputs: Tensors,
        policy: Policy = Policy(),
    ) -> Runner:
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.intra_op_num_threads = int(settings["intra_op_threads"])
        options.execution_mode = getattr(ort.ExecutionMode, MODES[str(settings["execution_mode"])])
        spinning = "1" if settings["allow_spinning"] else "0"
        options.add_session_config_entry("session.intra_op.allow_spinning", spinning)
        options.add_session_config_entry("session.inter_op.allow_spinning", spinning)
        session = translated(lambda: ort.InferenceSession(str(folder / ENGINE), options, providers=PROVIDERS))
        self._free_cores = cpu.available_cores() - most_threads(settings)
        return SessionRunner(session, int(settings["streams"]), inputs)

    def describe(self, file: Path, settings: Settings) -> DescribedFile:
        found = ModelFile(file, int(settings["streams"]))
        return DescribedFile(found.inputs(), found.outputs(), {}, found.open)

    def probe(self) -> Probe:
        return self._probe

    def clock(self) -> float:
        return time.perf_counter()

    @cached_property
    def _probe(self) -> Probe:
        found = cpu.probe()
        found.states["free_cores"] = lambda: self._free_cores
        return found


def most_threads(settings: Settings) -> int:
    """Return how many threads of an engine can run at once: the clients, one of which works in each pool."""
    cores = os.cpu_count() or 1
    inside = int(settings["intra_op_threads"]) or cores
    between = cores if settings["execution_mode"] == "parallel" else 1
    return int(settings["streams"]) + inside - 1 + between - 1


@cache
def _target() -> Target:
    about = f"ONNX Runtime's CPU provider computes fp16 through fp32 on {platform.machine()}"
    lowered = ("int8", "int4", "fp16") if _has_fp16_kernels() else ("int8", "int4")
    excluded = {} if _has_fp16_kernels() else {"fp16": about}
    others = dict.fromkeys(("bf16", "fp8"), "ONNX Runtime's CPU provider has no kernels for it")
    return Target(
        ("fp32",), lowered, excluded={**excluded, **others}, int8_by="onnxruntime", takes_modelopt=False
    )


@cache
def _has_fp16_kernels() -> bool:
    """Whether a convolution given in fp16 stays in fp16, seen in the graph that ONNX Runtime makes of it."""
    import onnx
    from onnx import TensorProto, helper

    half = TensorProto.FLOAT16
    weights = helper.make_tensor("w", half, (1, 1, 1, 1), [1.0])
    shape = (1, 1, 4, 4)
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["y"])],
        "probe",
        [helper.make_tensor_value_info("x", half, shape)],
        [helper.make_tensor_value_info("y", half, shape)],
        [weights],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    with tempfile.TemporaryDirectory() as folder:
        options = ort.SessionOptions()
        options.optimized_model_filepath = str(Path(folder) / "probe.onnx")
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
        try:
            ort.InferenceSession(model.SerializeToString(), options, providers=PROVIDERS)
        except Exception:
            return False
        optimized = onnx.load(options.optimized_model_filepath)
    return all(node.op_type != "Cast" for node in optimized.graph.node)


class ModelFile:
    """An .onnx or .ort file, loaded; raises EngineError if ONNX Runtime refuses it."""

    def __init__(self, path: Path, streams: int) -> None:
        self._streams = streams
        self._session: Any = translated(lambda: ort.InferenceSession(str(path), providers=PROVIDERS))

    def inputs(self) -> tuple[TensorFacts, ...]:
        """Return the inputs; raises UserError for one that is not a tensor."""
        return tuple(map(_facts, self._session.get_inputs()))

    def outputs(self) -> tuple[TensorFacts, ...]:
        return tuple(map(_facts, self._session.get_outputs()))

    def open(self, workload: Workload, inputs: Tensors, policy: Policy) -> Runner:
        return SessionRunner(self._session, self._streams, inputs)


def _facts(tensor: Any) -> TensorFacts:
    element = re.fullmatch(r"tensor\((\w+)\)", tensor.type)
    if element is None:
        raise UserError(
            f"{tensor.name!r} of the model is a {tensor.type}, not a tensor",
            "Export the model so that its inputs and outputs are tensors.",
        )
    dtype = dtype_name(onnx.TensorProto.DataType.Value(element[1].upper()))
    # a dimension that varies is its name, or None
    return TensorFacts(tensor.name, dtype, tuple(tensor.shape))
