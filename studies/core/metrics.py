"""The metrics that objectives and constraints may name: those of the table, and the user's own.

A new one is an entry in `engines.statistics.metrics`, where a worker finds what it needs of it too.
"""

from collections.abc import Callable, Collection, Sequence

from engines.core.errors import UserError
from engines.core.results import Accuracy, Evaluation
from engines.core.values import TaskMetric
from engines.statistics.estimates import Estimate
from engines.statistics.metrics import (
    DEFAULT_ERROR,
    DEFAULT_OBJECTIVE,
    DIMENSIONLESS,
    METRICS,
    P99_BOUND,
    Metric,
    accuracy_metrics,
    is_timed,
    names_where,
)

__all__ = [
    "DEFAULT_ERROR",
    "DEFAULT_OBJECTIVE",
    "METRICS",
    "P99_BOUND",
    "Metric",
    "accuracy_metrics",
    "is_exact",
    "is_timed",
    "known_metrics",
    "metrics_of",
    "names_where",
    "value_of",
]


def metrics_of(evaluation: Evaluation, only: Collection[str] | None = None) -> dict[str, Estimate]:
    """Return every metric that the evaluation has, or only those named, the user's own among them."""
    scores = evaluation.accuracy.scores if evaluation.accuracy else {}
    names = [name for name in (*METRICS, *scores) if only is None or name in only]
    found = {name: value_of(evaluation, name) for name in names}
    return {name: estimate for name, estimate in found.items() if estimate is not None}


def value_of(evaluation: Evaluation, name: str) -> Estimate | None:
    """Return one metric of the evaluation; None if it does not have it."""
    if name in METRICS:
        return METRICS[name].of(evaluation)
    return _score(name)(evaluation.accuracy) if evaluation.accuracy else None


def known_metrics(own: Sequence[TaskMetric] = ()) -> dict[str, Metric]:
    """Return all metrics by name, the user's own last; raises UserError for a name that is taken."""
    found = dict(METRICS)
    for one in own:
        if one.name in found:
            raise UserError(
                f"there is a metric named {one.name!r} already",
                f"Give this one another name: {one.name}_of_mine={one.function}.",
            )
        found[one.name] = _own(one)
    return found


def is_exact(name: str) -> bool:
    """Return whether the metric is a fact without an interval, as the user's own are."""
    return name not in METRICS or METRICS[name].exact


def _own(metric: TaskMetric) -> Metric:
    return Metric(
        name=metric.name,
        unit=DIMENSIONLESS,
        better=metric.better,
        about=f"{metric.function}, your own",
        source="accuracy",
        derive=_score(metric.name),
        adjective="small" if metric.better == "minimize" else "large",
        exact=True,
    )


def _score(name: str) -> Callable[[Accuracy], Estimate | None]:
    """Return the user's score of this name for the outputs."""

    def derive(accuracy: Accuracy) -> Estimate | None:
        score = accuracy.scores.get(name)
        return None if score is None else Estimate(score)

    return derive
