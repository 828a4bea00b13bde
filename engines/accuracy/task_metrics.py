"""The user's own measures of outputs, such as the accuracy of a classifier."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from engines.core.errors import EngineError, UserError
from engines.core.values import TaskMetric, Tensors, Workload
from engines.data.inputs_file import read_all
from engines.data.user_functions import find_function, load_function, raised


def given_to_metrics(workload: Workload, batches: Sequence[Tensors]) -> Tensors:
    """The samples that metrics get: the user's file as it is, labels and all, else the batches joined."""
    if workload.inputs.file is not None:
        return read_all(workload.inputs.file.path, workload.model)
    first = batches[0]
    if not workload.batched_inputs:
        return joined(batches)
    repeated = {name: values for name, values in first.items() if name not in workload.batched_inputs}
    return {**joined(batches), **repeated}


def joined(batches: Sequence[Tensors], samples: int | None = None) -> Tensors:
    """The batches along their first axis, cut to so many samples where it has more; scalars get an axis."""
    together = {
        name: np.concatenate([np.atleast_1d(batch[name]) for batch in batches]) for name in batches[0]
    }
    return together if samples is None else {name: values[:samples] for name, values in together.items()}


def scores(workload: Workload, given: Tensors, outputs: Sequence[Tensors]) -> dict[str, float]:
    """The value of each metric of the workload, from the outputs of each batch.

    Raises EngineError for what a function raises, and for what is no finite number.
    """
    if not workload.metrics:
        return {}
    samples = max((len(given[name]) for name in workload.batched_inputs), default=None)
    together = _read_only(joined(outputs, samples))
    return {metric.name: _score(metric, _read_only(given), together) for metric in workload.metrics}


def reference_scores(workload: Workload, given: Tensors, outputs: Sequence[Tensors]) -> dict[str, float]:
    """The scores of the right outputs; what is wrong with a function shows here, and raises UserError."""
    try:
        return scores(workload, given, outputs)
    except EngineError as error:
        raise UserError(error.message, error.hint) from error


def worse(
    metrics: Sequence[TaskMetric], before: Mapping[str, float], after: Mapping[str, float]
) -> dict[str, float]:
    """The worse of two scores of each metric."""
    pick: Mapping[str, Callable[[float, float], float]] = {"minimize": max, "maximize": min}
    return {one.name: pick[one.better](before[one.name], after[one.name]) for one in metrics}


def _score(metric: TaskMetric, given: Tensors, outputs: Tensors) -> float:
    folder = metric.file.path
    function = load_function(metric.function, folder)
    where = f"the metric {metric.function!r}"
    try:
        value = function(dict(given), dict(outputs))
    except (Exception, SystemExit) as error:
        said = raised(error, find_function(metric.function, folder).file)
        raise EngineError(f"{where} raised {said}", "Mend the function.", kind="wrong_output") from error
    found = _number(value)
    if found is None:
        raise EngineError(
            f"{where} gave {_shortened(value)}, which is no finite number",
            "Let it return one number.",
            kind="wrong_output",
        )
    return found


def _read_only(tensors: Tensors) -> Tensors:
    """Views that no function can change under the next one's hands."""
    views = {name: values.view() for name, values in tensors.items()}
    for view in views.values():
        view.flags.writeable = False
    return views


def _number(value: object) -> float | None:
    """The value as a number; None where it is none, or not finite."""
    if isinstance(value, str):
        return None
    try:
        found = float(np.asarray(value).reshape(()))
    except (TypeError, ValueError):
        return None
    return found if math.isfinite(found) else None


def _shortened(value: object) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else f"{text[:57]}..."
