"""The graph of a candidate, derived from the model step by step as its settings of kind `graph` say.

Made static, simplified, lowered but for the nodes that are kept. The backends differ in what they take, which
is a `Target`; the steps are theirs all the same.
"""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from engines.calibration_data import calibration_batches, calibration_identity
from engines.errors import EngineError, UserError
from engines.graphs import modelopt, simplification
from engines.graphs.choices import (
    BUILTIN,
    CALIBRATED,
    CONVOLUTIONS,
    HALVES,
    METHODS,
    Target,
    base_precision,
)
from engines.values import Settings, Tensors, Value, Workload
from engines.wire import digest
from engines.workspace import temporary_folder, write_file

if TYPE_CHECKING:
    import onnx

    from engines.graphs import sensitivity

Detail = Callable[[str], None]
T = TypeVar("T")

# part of a graph's name: to be raised when the same model would be made into another graph
RECIPE = 6
# a setting outside of every space, with which `tuner bisect` names nodes, a line each
KEPT_NODES = "kept_nodes"
# each node costs a run of the model on every batch, so they are small
RANKING_BATCHES = 2
RANKING_SAMPLES = 2


@dataclass(frozen=True)
class Making:
    """What a graph is made of, and where what was computed for it is kept."""

    workload: Workload
    settings: Settings
    caches: Path
    report: Detail

    @property
    def precision(self) -> str:
        return str(self.settings["precision"])

    @property
    def keeps_some(self) -> bool:
        """Whether any node may have to stay in FP32."""
        return bool(self.workload.keep_fp32) or any(map(self.settings.get, ("keep_fp32", KEPT_NODES)))

    def is_at(self, name: str, value: str) -> bool:
        return self.settings.get(name, value) == value


def graph_key(target: Target, workload: Workload, settings: Settings) -> object:
    """What decides the graph's content beyond model and settings; None when the model itself is used."""
    import onnxruntime as ort

    making = Making(workload, settings, Path(), lambda _: None)
    lowered = making.precision in target.lowered
    # nodes are found again by their names, which the model itself need not have
    named = making.precision in target.elsewhere and making.keeps_some
    if not (lowered or named or workload.override_shapes) and making.is_at("simplify", simplification.NONE):
        return None
    how = str(settings.get("simplify", simplification.NONE))
    key: list[object] = [RECIPE, ort.__version__, workload.override_shapes, simplification.version(how)]
    if lowered:
        key += [calibration_identity(workload), workload.keep_fp32]
    environment = None if making.is_at("converter", BUILTIN) else modelopt.find()
    return [*key, environment.version] if environment else key


def make_graph(
    target: Target, workload: Workload, settings: Settings, file: Path, caches: Path, report: Detail
) -> Mapping[str, Value]:
    """Writes the graph, and says what of it was kept in FP32.

    Raises EngineError where it cannot be made, and UserError for what the user must mend first.
    """
    from engines.graphs import onnx_files, sites
    from engines.reference import one_line

    making = Making(workload, settings, caches, report)
    try:
        model = prepared(making)
        if making.precision not in target.lowered:
            onnx_files.save(model, file)
            return {}
        keep = kept_nodes(making, model, _left_out(target, making, model))
        if keep >= set(sites.lowerable(model, making.precision)):
            return _nothing_lowered(making, model, file)
        with tempfile.TemporaryDirectory(dir=file.parent) as scratch:
            _lower(target, making, model, keep, Path(scratch), file)
        return {"kept_fp32": "\n".join(sorted(keep))} if keep else {}
    except (EngineError, UserError, MemoryError, OSError):
        raise
    except Exception as error:
        raise EngineError(f"cannot make the {making.precision} graph: {one_line(error)}") from error


def _nothing_lowered(making: Making, model: "onnx.ModelProto", file: Path) -> Mapping[str, Value]:
    """Where all is kept, which only `tuner bisect` has a use for."""
    from engines.graphs import onnx_files

    if KEPT_NODES not in making.settings:
        raise EngineError(f"nothing in this model can be in {making.precision}, or all of it is kept in FP32")
    onnx_files.save(model, file)
    return {}


def prepared(making: Making) -> "onnx.ModelProto":
    """The model with a name for every node, made static and simplified as asked."""
    from engines.graphs import onnx_files, static_shapes

    making.report("reading the model")
    model = onnx_files.load(Path(making.workload.model.path))
    onnx_files.name_nodes(model)
    if making.workload.override_shapes:
        model = static_shapes.override(model, making.workload.override_shapes)
    if not making.is_at("simplify", simplification.NONE):
        making.report("simplifying")
        model = simplification.simplify(model, str(making.settings["simplify"]))
    return model


def kept_nodes(
    making: Making, model: "onnx.ModelProto", left_out: frozenset[str] = frozenset()
) -> frozenset[str]:
    """The nodes that stay in FP32: those that the user named, and as many as asked that hurt most.

    Nodes that are `left_out` of the precision anyway are not counted.
    """
    from engines.graphs import keeping

    chosen = str(making.settings.get(KEPT_NODES, ""))
    named = keeping.matching(model, making.workload.keep_fp32) | frozenset(chosen.splitlines())
    count = int(making.settings.get("keep_fp32", 0))
    if count < 0:
        raise UserError(f"keep_fp32 is a number of nodes, not {count}", "Give --fix keep_fp32=0 or more.")
    if not count:
        return named
    ranked = [one.node for one in ranking(making, model) if one.node not in named | left_out]
    if count >= len(ranked):
        raise EngineError(f"keeping {count} of the {len(ranked)} nodes that can be lowered leaves none")
    return named | frozenset(ranked[:count])


def ranking(making: Making, model: "onnx.ModelProto") -> "tuple[sensitivity.NodeError, ...]":
    """How much each node hurts when it alone is lowered, the most hurtful first; kept in the caches."""
    from engines.graphs import sensitivity

    precision = base_precision(making.precision)
    few = replace(making.workload, batch=min(making.workload.batch, RANKING_SAMPLES))
    batches = list(islice(calibration_batches(few), RANKING_BATCHES))

    def rank() -> tuple[sensitivity.NodeError, ...]:
        amax = ranges(making, model, precision) if precision in CALIBRATED else {}
        return sensitivity.rank(model, precision, batches, amax, making.report)

    return sensitivity.cached_rank(making.caches, _key(making, precision), rank)


def ranges(making: Making, model: "onnx.ModelProto", precision: str) -> dict[str, float]:
    """The largest absolute value of every tensor that is quantized; kept in the caches."""
    file = making.caches / f"ranges-{_key(making, precision)}.json"
    found = _read_ranges(file)
    if found is None:
        found = _calibrated(making, model, precision)
        write_file(file, json.dumps(found).encode())
    return found


def _read_ranges(file: Path) -> dict[str, float] | None:
    try:
        return {name: float(amax) for name, amax in json.loads(file.read_bytes()).items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def _calibrated(making: Making, model: "onnx.ModelProto", precision: str) -> dict[str, float]:
    from engines.graphs import calibration, onnx_files
    from engines.graphs.sites import sites

    making.report("calibrating")
    tensors = sorted({site.tensor for site in sites(model, precision) if not site.is_weight})
    method = str(making.settings.get("calibration", METHODS[0]))
    with temporary_folder(making.caches) as scratch:
        file = scratch / "model.onnx"
        onnx_files.save(model, file)
        return _on_data(
            making, lambda batches: calibration.calibrate(file, batches, method, tensors, scratch)
        )


def _on_data(making: Making, take: Callable[[Iterator[Tensors]], T]) -> T:
    """What comes of the calibration data, in large batches unless the model takes none but its own."""
    workload = making.workload
    try:
        return take(_counted(making, calibration_batches(workload, large=True)))
    except (UserError, EngineError, MemoryError, OSError):
        raise
    except Exception:  # ONNX Runtime's many, for a batch that is dynamic in name alone
        return take(_counted(making, calibration_batches(workload)))


def _counted(making: Making, batches: Iterator[Tensors]) -> Iterator[Tensors]:
    for number, batch in enumerate(batches, 1):
        making.report(f"calibrating, batch {number}")
        yield batch


def _key(making: Making, precision: str) -> str:
    """Names what was computed for a precision of this very model and data."""
    import onnxruntime as ort

    workload, settings = making.workload, making.settings
    method = settings.get("calibration") if precision in CALIBRATED else None
    source = calibration_identity(workload)
    made = [workload.model.digest, workload.override_shapes, settings.get("simplify")]
    return digest(RECIPE, ort.__version__, made, precision, method, source)


def _lower(
    target: Target,
    making: Making,
    model: "onnx.ModelProto",
    keep: frozenset[str],
    scratch: Path,
    file: Path,
) -> None:
    from engines.graphs import cpu_quantizer, onnx_files

    if not making.is_at("converter", BUILTIN):
        _lower_by_modelopt(making, model, keep, scratch, file)
    elif target.is_cpu and making.precision == "int8":
        source = scratch / "model.onnx"
        onnx_files.save(model, source)
        method = str(making.settings["calibration"])
        _on_data(making, lambda batches: cpu_quantizer.quantize_int8(source, batches, file, method, keep))
    else:
        onnx_files.save(_lowered(target, making, model, keep), file)


def _lowered(
    target: Target, making: Making, model: "onnx.ModelProto", keep: frozenset[str]
) -> "onnx.ModelProto":
    from engines.graphs import lowering, qdq, weight_only

    precision, high = making.precision, str(making.settings.get("high_precision", "fp32"))
    if precision in HALVES:
        return lowering.lower(model, precision, keep)
    amax = ranges(making, model, precision) if precision in CALIBRATED else {}
    making.report("quantizing")
    if high != "fp32":
        model = lowering.lower(model, high, keep)
    if precision in CALIBRATED:
        return qdq.insert_qdq(model, precision, amax, keep | _left_out(target, making, model))
    return weight_only.quantize_int4(model, keep)


def _left_out(target: Target, making: Making, model: "onnx.ModelProto") -> frozenset[str]:
    """The convolutions, where int8 has none."""
    if making.precision != "int8" or not target.no_int8_convolutions:
        return frozenset()
    return frozenset(node.name for node in model.graph.node if node.op_type in CONVOLUTIONS)


def _lower_by_modelopt(
    making: Making, model: "onnx.ModelProto", keep: frozenset[str], scratch: Path, file: Path
) -> None:
    from engines.graphs import onnx_files

    environment = modelopt.find()
    if environment is None:
        raise EngineError("NVIDIA ModelOpt is not there any more", "Set TUNER_MODELOPT_PYTHON again.")
    source = scratch / "model.onnx"
    onnx_files.save(model, source)
    batches = _counted(making, calibration_batches(making.workload))
    data = modelopt.save_batches(batches, scratch / "calibration")
    making.report("running NVIDIA ModelOpt")
    precision, settings = making.precision, making.settings
    if precision in HALVES:
        modelopt.autocast(environment, source, precision, keep, data, file)
        return
    method, high = str(settings.get("calibration", METHODS[0])), str(settings.get("high_precision", "fp32"))
    modelopt.quantize(environment, source, precision, method, keep, data, high, file)
