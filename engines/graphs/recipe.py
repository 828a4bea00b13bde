"""The graph of a candidate, derived from the model step by step as its settings of kind `graph` say.

Made static, simplified, lowered but for the nodes that are kept. The backends differ in what they take, which
is a `Target`; the steps are theirs all the same.
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
from engines.graphs.context import KEPT_NODES, RECIPE, Detail, Making
from engines.graphs.dimensions import BUILTIN, CALIBRATED, HALVES, METHODS, Target, base_precision
from engines.graphs.passes import modelopt, simplify
from engines.shapes.plan import at_batch

if TYPE_CHECKING:
    import onnx

# each node costs a run of the model on every batch, so they are small
RANKING_BATCHES = 2
RANKING_SAMPLES = 2


@dataclass(frozen=True)
class GraphRecipe:
    """Makes the graphs that a backend takes (`target`); `caches` keeps what several of them need."""

    target: Target
    workload: Workload
    caches: Path

    def dimensions(self) -> tuple[Dimension, ...]:
        """What there is to choose of them."""
        return choices.dimensions(self.target, self.workload)

    def key(self, settings: Settings) -> object:
        """What decides the graph's content beyond model and settings; None when the model itself is used."""
        import onnxruntime as ort

        target, workload = self.target, self.workload
        making = Making(workload, settings, Path(), lambda _: None)
        lowered = making.precision in target.lowered
        # nodes are found again by their names, which the model itself need not have
        named = making.precision in target.elsewhere and making.keeps_some
        if not (lowered or named or workload.override_shapes) and making.is_at("simplify", simplify.NONE):
            return None
        how = str(settings.get("simplify", simplify.NONE))
        key: list[object] = [RECIPE, ort.__version__, workload.override_shapes, simplify.version(how)]
        if lowered:
            key += [calibration_identity(workload), workload.keep_fp32, *_refused(target, making)]
        environment = None if making.is_at("converter", BUILTIN) else modelopt.find()
        return [*key, environment.version] if environment else key

    def make(self, settings: Settings, file: Path, report: Detail) -> Mapping[str, Value]:
        """Writes the graph, and says what of it was kept in FP32.

        Raises EngineError where it cannot be made, and UserError for what the user must mend first.
        """
        from engines.models.ort import one_line

        making = Making(self.workload, settings, self.caches, report)
        try:
            return _make(self.target, making, file)
        except (EngineError, UserError, MemoryError, OSError):
            raise
        except Exception as error:
            raise EngineError(f"cannot make the {making.precision} graph: {one_line(error)}") from error


def _make(target: Target, making: Making, file: Path) -> Mapping[str, Value]:
    from engines.graphs.passes import selection
    from engines.models import onnx_files

    model = prepared(making)
    if making.precision not in target.lowered:
        onnx_files.save(model, file)
        return {}
    left_out = _left_out(target, making.precision, model)
    keep = kept_nodes(making, model, left_out)
    if making.precision in HALVES:
        keep |= left_out
    if keep >= set(selection.lowerable(model, making.precision)):
        return _nothing_lowered(making, model, file)
    with tempfile.TemporaryDirectory(dir=file.parent) as scratch:
        _lower(target, making, model, keep, Path(scratch), file)
    return {"kept_fp32": "\n".join(sorted(keep))} if keep else {}


def _nothing_lowered(making: Making, model: "onnx.ModelProto", file: Path) -> Mapping[str, Value]:
    """Where all is kept, which only `tuner bisect` has a use for."""
    from engines.models import onnx_files

    if KEPT_NODES not in making.settings:
        raise EngineError(f"nothing in this model can be in {making.precision}, or all of it is kept in FP32")
    onnx_files.save(model, file)
    return {}


def prepared(making: Making) -> "onnx.ModelProto":
    """The model with a name for every node, made static and simplified as asked."""
    from engines.graphs.passes import static_shapes
    from engines.models import onnx_files

    making.report("reading the model")
    model = onnx_files.load(making.workload.model.file.path)
    onnx_files.name_nodes(model)
    if making.workload.override_shapes:
        model = static_shapes.override(model, making.workload.override_shapes)
    if not making.is_at("simplify", simplify.NONE):
        making.report("simplifying")
        model = simplify.simplify(model, str(making.settings["simplify"]))
    return model


def kept_nodes(
    making: Making, model: "onnx.ModelProto", left_out: frozenset[str] = frozenset()
) -> frozenset[str]:
    """The nodes that stay in FP32: those that the user named, and as many as asked that hurt most.

    Nodes that are `left_out` of the precision anyway are not counted.
    """
    from engines.graphs.passes import selection

    chosen = str(making.settings.get(KEPT_NODES, ""))
    named = selection.matching(model, making.workload.keep_fp32) | frozenset(chosen.splitlines())
    count = int(making.settings.get("keep_fp32", 0))
    if count < 0:
        raise UserError(f"keep_fp32 is a number of nodes, not {count}", "Give --fix keep_fp32=0 or more.")
    if not count:
        return named
    ranked = [one.node for one in ranking(making, model) if one.node not in named | left_out]
    if count >= len(ranked):
        raise EngineError(f"keeping {count} of the {len(ranked)} nodes that can be lowered leaves none")
    return named | frozenset(ranked[:count])


def ranking(making: Making, model: "onnx.ModelProto") -> tuple[NodeError, ...]:
    """How much each node hurts when it alone is lowered, the most hurtful first; kept in the caches."""
    from engines.graphs.analysis import sensitivity

    precision = base_precision(making.precision)
    few = at_batch(making.workload, min(making.workload.plan.batch, RANKING_SAMPLES))
    batches = list(islice(calibration_batches(few), RANKING_BATCHES))

    def rank() -> tuple[NodeError, ...]:
        amax = ranges(making, model, precision) if precision in CALIBRATED else {}
        return sensitivity.rank(model, precision, batches, amax, making.report)

    return sensitivity.cached_rank(making.caches, making.key(precision), rank)


def _lower(
    target: Target,
    making: Making,
    model: "onnx.ModelProto",
    keep: frozenset[str],
    scratch: Path,
    file: Path,
) -> None:
    from engines.graphs.passes import ort_quantize
    from engines.models import onnx_files

    if not making.is_at("converter", BUILTIN):
        _lower_by_modelopt(making, model, keep, scratch, file)
    elif target.int8_by == "onnxruntime" and making.precision == "int8":
        source = scratch / "model.onnx"
        onnx_files.save(model, source)
        method = str(making.settings["calibration"])
        on_data(making, lambda batches: ort_quantize.quantize_int8(source, batches, file, method, keep))
    else:
        onnx_files.save(_lowered(target, making, model, keep), file)


def _lowered(
    target: Target, making: Making, model: "onnx.ModelProto", keep: frozenset[str]
) -> "onnx.ModelProto":
    from engines.graphs.passes import half_precision, qdq, weight_only

    precision, high = making.precision, str(making.settings.get("high_precision", "fp32"))
    if precision in HALVES:
        return half_precision.lower(model, precision, keep)
    amax = ranges(making, model, precision) if precision in CALIBRATED else {}
    making.report("quantizing")
    if high != "fp32":
        model = half_precision.lower(model, high, keep | _left_out(target, high, model))
    if precision in CALIBRATED:
        return qdq.insert_qdq(model, precision, amax, keep | _left_out(target, precision, model))
    return weight_only.quantize_int4(model, keep)


def _left_out(target: Target, precision: str, model: "onnx.ModelProto") -> frozenset[str]:
    """The nodes that the backend does not take in a precision."""
    operators = target.refused.get(precision, {})
    return frozenset(node.name for node in model.graph.node if node.op_type in operators)


def _refused(target: Target, making: Making) -> list[str]:
    """Which operators are left out of what the graph is lowered to."""
    precisions = (making.precision, str(making.settings.get("high_precision", "fp32")))
    return [f"{name} in {to}" for to in precisions for name in sorted(target.refused.get(to, {}))]


def _lower_by_modelopt(
    making: Making, model: "onnx.ModelProto", keep: frozenset[str], scratch: Path, file: Path
) -> None:
    from engines.models import onnx_files

    environment = modelopt.find()
    if environment is None:
        raise EngineError("NVIDIA ModelOpt is not there any more", "Set TUNER_MODELOPT_PYTHON again.")
    source = scratch / "model.onnx"
    onnx_files.save(model, source)
    data = modelopt.save_batches(counted_batches(making), scratch / "calibration")
    making.report("running NVIDIA ModelOpt")
    precision, settings = making.precision, making.settings
    if precision in HALVES:
        modelopt.autocast(environment, source, precision, keep, data, file)
        return
    method, high = str(settings.get("calibration", METHODS[0])), str(settings.get("high_precision", "fp32"))
    modelopt.quantize(environment, source, precision, method, keep, data, high, file)
