"""Make the graph of a candidate from the model, as its settings of kind `graph` say.

The steps are: make inputs static, simplify, and lower all nodes but those kept in FP32. Backends differ only
in the `Target` that they describe.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from engines.core.errors import EngineError, UserError
from engines.core.results import NodeError
from engines.core.values import Dimension, Settings, Value, Workload
from engines.data.calibration import calibration_batches, calibration_identity
from engines.graphs import dimensions as choices
from engines.graphs.calibrated_ranges import counted_batches, on_data, ranges
from engines.graphs.context import KEPT_NODES, RECIPE, Detail, GraphContext
from engines.graphs.dimensions import BUILTIN, CALIBRATED, HALVES, METHODS, Target, base_precision
from engines.graphs.passes import modelopt, simplify
from engines.shapes.plan import at_batch

if TYPE_CHECKING:
    import onnx

# the ranking runs the model on every batch for each node, so batches are small
RANKING_BATCHES = 2
RANKING_SAMPLES = 2


@dataclass(frozen=True)
class GraphRecipe:
    """Makes the graphs that a backend takes (`target`); `caches` is the folder of intermediate results."""

    target: Target
    workload: Workload
    caches: Path

    def dimensions(self) -> tuple[Dimension, ...]:
        """Return the dimensions of kind `graph`."""
        return choices.dimensions(self.target, self.workload)

    def key(self, settings: Settings) -> object:
        """Return what identifies the graph besides model and settings; None if the model itself is used."""
        import onnxruntime as ort

        target, workload = self.target, self.workload
        context = GraphContext(workload, settings, Path(), lambda _: None)
        lowered = context.precision in target.lowered
        # nodes are found by their names, which the model itself may lack
        named = context.precision in target.elsewhere and context.keeps_some
        if not (lowered or named or workload.override_shapes) and context.is_at("simplify", simplify.NONE):
            return None
        how = str(settings.get("simplify", simplify.NONE))
        key: list[object] = [RECIPE, ort.__version__, workload.override_shapes, simplify.version(how)]
        if lowered:
            key += [calibration_identity(workload), workload.keep_fp32, *_refused(target, context)]
        environment = None if context.is_at("converter", BUILTIN) else modelopt.find()
        return [*key, environment.version] if environment else key

    def make(self, settings: Settings, file: Path, report: Detail) -> Mapping[str, Value]:
        """Write the graph, and return the facts of what was kept in FP32.

        Raises EngineError if it cannot be made, and UserError for a mistake of the user's.
        """
        from engines.models.ort import one_line

        context = GraphContext(self.workload, settings, self.caches, report)
        try:
            return _make(self.target, context, file)
        except (EngineError, UserError, MemoryError, OSError):
            raise
        except Exception as error:
            raise EngineError(f"cannot make the {context.precision} graph: {one_line(error)}") from error


def _make(target: Target, context: GraphContext, file: Path) -> Mapping[str, Value]:
    from engines.graphs.passes import selection
    from engines.models import onnx_files

    model = prepared(context)
    if context.precision not in target.lowered:
        onnx_files.save(model, file)
        return {}
    left_out = _left_out(target, context.precision, model)
    keep = kept_nodes(context, model, left_out)
    if context.precision in HALVES:
        keep |= left_out
    if keep >= set(selection.lowerable(model, context.precision)):
        return _nothing_lowered(context, model, file)
    with tempfile.TemporaryDirectory(dir=file.parent) as scratch:
        _lower(target, context, model, keep, Path(scratch), file)
    return {"kept_fp32": "\n".join(sorted(keep))} if keep else {}


def _nothing_lowered(context: GraphContext, model: "onnx.ModelProto", file: Path) -> Mapping[str, Value]:
    """Write the graph with all nodes in FP32, which only `tuner bisect` needs."""
    from engines.models import onnx_files

    if KEPT_NODES not in context.settings:
        raise EngineError(f"no node can run in {context.precision}, or all of them are kept in FP32")
    onnx_files.save(model, file)
    return {}


def prepared(context: GraphContext) -> "onnx.ModelProto":
    """Return the model with a name for every node, made static and simplified as requested."""
    from engines.graphs.passes import static_shapes
    from engines.models import onnx_files

    context.report("reading the model")
    model = onnx_files.load(context.workload.model.file.path)
    onnx_files.name_nodes(model)
    if context.workload.override_shapes:
        model = static_shapes.override(model, context.workload.override_shapes)
    if not context.is_at("simplify", simplify.NONE):
        context.report("simplifying")
        model = simplify.simplify(model, str(context.settings["simplify"]))
    return model


def kept_nodes(
    context: GraphContext, model: "onnx.ModelProto", left_out: frozenset[str] = frozenset()
) -> frozenset[str]:
    """Return the nodes that stay in FP32: those the user named, and the `keep_fp32` most sensitive ones.

    Nodes that are `left_out` of the precision anyway are not counted.
    """
    from engines.graphs.passes import selection

    chosen = str(context.settings.get(KEPT_NODES, ""))
    named = selection.matching(model, context.workload.keep_fp32) | frozenset(chosen.splitlines())
    count = int(context.settings.get("keep_fp32", 0))
    if count < 0:
        raise UserError(f"keep_fp32 is a number of nodes, not {count}", "Give --fix keep_fp32=0 or more.")
    if not count:
        return named
    ranked = [one.node for one in ranking(context, model) if one.node not in named | left_out]
    if count >= len(ranked):
        raise EngineError(f"keeping {count} of the {len(ranked)} nodes that can be lowered leaves none")
    return named | frozenset(ranked[:count])


def ranking(context: GraphContext, model: "onnx.ModelProto") -> tuple[NodeError, ...]:
    """Return the error of lowering each node alone, the most sensitive first; saved in the caches."""
    from engines.graphs.analysis import sensitivity

    precision = base_precision(context.precision)
    few = at_batch(context.workload, min(context.workload.plan.batch, RANKING_SAMPLES))
    batches = list(islice(calibration_batches(few), RANKING_BATCHES))

    def rank() -> tuple[NodeError, ...]:
        amax = ranges(context, model, precision) if precision in CALIBRATED else {}
        return sensitivity.rank(model, precision, batches, amax, context.report)

    return sensitivity.cached_rank(context.caches, context.key(precision), rank)


def _lower(
    target: Target,
    context: GraphContext,
    model: "onnx.ModelProto",
    keep: frozenset[str],
    scratch: Path,
    file: Path,
) -> None:
    from engines.graphs.passes import ort_quantize
    from engines.models import onnx_files

    if not context.is_at("converter", BUILTIN):
        _lower_by_modelopt(context, model, keep, scratch, file)
    elif target.int8_by == "onnxruntime" and context.precision == "int8":
        source = scratch / "model.onnx"
        onnx_files.save(model, source)
        method = str(context.settings["calibration"])
        on_data(context, lambda batches: ort_quantize.quantize_int8(source, batches, file, method, keep))
    else:
        onnx_files.save(_lowered(target, context, model, keep), file)


def _lowered(
    target: Target, context: GraphContext, model: "onnx.ModelProto", keep: frozenset[str]
) -> "onnx.ModelProto":
    from engines.graphs.passes import half_precision, qdq, weight_only

    precision, high = context.precision, str(context.settings.get("high_precision", "fp32"))
    if precision in HALVES:
        return half_precision.lower(model, precision, keep)
    amax = ranges(context, model, precision) if precision in CALIBRATED else {}
    context.report("quantizing")
    if high != "fp32":
        model = half_precision.lower(model, high, keep | _left_out(target, high, model))
    if precision in CALIBRATED:
        return qdq.insert_qdq(model, precision, amax, keep | _left_out(target, precision, model))
    return weight_only.quantize_int4(model, keep)


def _left_out(target: Target, precision: str, model: "onnx.ModelProto") -> frozenset[str]:
    """Return the nodes that the backend refuses in a precision."""
    operators = target.refused.get(precision, {})
    return frozenset(node.name for node in model.graph.node if node.op_type in operators)


def _refused(target: Target, context: GraphContext) -> list[str]:
    """Return the operators that the backend refuses in the precisions of the graph, as text."""
    precisions = (context.precision, str(context.settings.get("high_precision", "fp32")))
    return [f"{name} in {to}" for to in precisions for name in sorted(target.refused.get(to, {}))]


def _lower_by_modelopt(
    context: GraphContext, model: "onnx.ModelProto", keep: frozenset[str], scratch: Path, file: Path
) -> None:
    from engines.models import onnx_files

    environment = modelopt.find()
    if environment is None:
        raise EngineError("NVIDIA ModelOpt is no longer installed", "Set TUNER_MODELOPT_PYTHON again.")
    source = scratch / "model.onnx"
    onnx_files.save(model, source)
    data = modelopt.save_batches(counted_batches(context), scratch / "calibration")
    context.report("running NVIDIA ModelOpt")
    precision, settings = context.precision, context.settings
    if precision in HALVES:
        modelopt.autocast(environment, source, precision, keep, data, file)
        return
    method, high = str(settings.get("calibration", METHODS[0])), str(settings.get("high_precision", "fp32"))
    modelopt.quantize(environment, source, precision, method, keep, data, high, file)
