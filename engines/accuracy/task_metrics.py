"""Run the user's own metrics of outputs, such as the accuracy of a classifier."""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from engines.core.errors import EngineError, UserError
from engines.core.values import TaskMetric, Tensors, Workload
from engines.data.inputs_file import read_all
from engines.data.user_functions import find_function, load_function, raised


def given_to_metrics(workload: Workload, batches: Sequence[Tensors]) -> Tensors:
    """Return the inputs that metrics get: the user's file with its labels, else the batches joined."""
    if workload.inputs.file is not None:
        return read_all(workload.inputs.file.path, workload.model)
    first = batches[0]
    if not workload.batched_inputs:
        return joined(batches)
    repeated = {name: values for name, values in first.items() if name not in workload.batched_inputs}
    return {**joined(batches), **repeated}


def joined(batches: Sequence[Tensors], samples: int | None = None) -> Tensors:
    """Join the batches along their first axis and cut them to `samples`; scalars get an axis."""
    together = {
        name: np.concatenate([np.atleast_1d(batch[name]) for batch in batches]) for name in batches[0]
    }
    return together if samples is None else {name: values[:samples] for name, values in together.items()}


def scores(workload: Workload, given: Tensors, outputs: Sequence[Tensors]) -> dict[str, float]:
    """Return the value of each metric of the workload, from the outputs of each batch.

    Raises EngineError if a function raises or does not return a finite number.
    """
    if not workload.metrics:
        return {}
    samples = max((len(given[name]) for name in workload.batched_inputs), default=None)
    together = _read_only(joined(outputs, samples))
    return {metric.name: _score(metric, _read_only(given), together) for metric in workload.metrics}


def reference_scores(workload: Workload, given: Tensors, outputs: Sequence[Tensors]) -> dict[str, float]:
    """Return the scores of the reference outputs; raises UserError if a function fails on them."""
    try:
        return scores(workload, given, outputs)
    except EngineError as error:
        raise UserError(error.message, error.hint) from error


def worse(
    metrics: Sequence[TaskMetric], before: Mapping[str, float], after: Mapping[str, float]
) -> dict[str, float]:
    """Return the worse of two scores of each metric."""
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
        raise EngineError(f"{where} raised {said}", "Fix the function.", kind="wrong_output") from error
    found = _number(value)
    if found is None:
        raise EngineError(
            f"{where} returned {_shortened(value)}, which is not a finite number",
            "Let it return one number.",
            kind="wrong_output",
        )
    return found


def _read_only(tensors: Tensors) -> Tensors:
    """Return read-only views, so that no function can change the data of the next one."""
    views = {name: values.view() for name, values in tensors.items()}
    for view in views.values():
        view.flags.writeable = False
    return views


def _number(value: object) -> float | None:
    """Return the value as a number; None if it is not a finite number."""
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
