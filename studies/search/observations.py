"""Convert trials to the numbers that a search learns from."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from engines.core.results import Evaluation, Failure
from engines.core.values import Candidate, Stage
from engines.statistics.estimates import Estimate
from studies.belief.devices import NOTHING_BELIEVED, Beliefs
from studies.core.records import Constraint, StudySpec, TrialRecord

# half of a 95 % interval, in standard deviations
NORMAL_95 = 1.96
# used if the noise is not known
USUAL_VARIANCE = 0.01**2
# a limit between this and 1 is a limit on a share
MOSTLY = 0.5
LEAST_LACK = 1e-9


@dataclass(frozen=True)
class Observation:
    """One candidate and what came of it.

    `values` are the objectives, `variances` those of their logarithms, None where there is nothing to show.
    `margins` say of each constraint, in the study's order, how far it is missed: the logarithm of the metric
    by its limit, negative where the limit is kept, and None where the metric is not known. `failed` is the
    stage at which the candidate failed, `seconds` what each stage took, and nothing for what was reused.
    """

    candidate: Candidate
    values: tuple[float, ...] | None
    variances: tuple[float, ...] = ()
    margins: tuple[float | None, ...] = ()
    failed: Stage | None = None
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_feasible(self) -> bool:
        """Return whether it may be the best; a constraint whose metric is not known counts as met."""
        return self.values is not None and all(margin is None or margin <= 0 for margin in self.margins)


def observation_of(record: TrialRecord, spec: StudySpec, beliefs: Beliefs = NOTHING_BELIEVED) -> Observation:
    """Return the trial as the search sees it: on the study's own device, with drift removed from the first
    objective, and the run-to-run variance of that device added.
    """
    first, *others = (one.metric for one in spec.objectives)
    estimates = [
        _known(record, first, beliefs.freed),
        *(_known(record, metric, beliefs.at_home) for metric in others),
    ]
    known = [one for one in estimates if one is not None and math.isfinite(one.value)]
    noise = beliefs.of(record.device).noise
    between = noise.between**2 if noise is not None else 0.0
    whole = len(known) == len(estimates) and record.failure is None
    half_widths = [one.relative_half_width for one in known]
    return Observation(
        candidate=record.candidate,
        values=tuple(one.value for one in known) if whole else None,
        variances=tuple(
            (USUAL_VARIANCE if width is None else (width / NORMAL_95) ** 2)
            + (between if number == 0 else 0.0)
            for number, width in enumerate(half_widths)
        ),
        margins=tuple(_margin(record, one) for one in spec.constraints),
        failed=_failed(record.failure),
        seconds={} if record.reused else _seconds(record.evaluation),
    )


def _known(
    record: TrialRecord, metric: str, corrected: Callable[[Estimate, TrialRecord, str], Estimate]
) -> Estimate | None:
    found = record.metrics.get(metric)
    return None if found is None else corrected(found, record, metric)


def _failed(failure: Failure | None) -> Stage | None:
    """Return the stage that failed; "measure" for an internal error, which does not rule out a build."""
    if failure is None:
        return None
    return "measure" if failure.kind == "internal" else failure.stage


def _seconds(evaluation: Evaluation) -> dict[str, float]:
    """Return the seconds of each stage, except those that found an existing result."""
    made = {"graph": evaluation.graph, "build": evaluation.engine}
    return {
        stage: seconds
        for stage, seconds in evaluation.stage_seconds.items()
        if (artifact := made.get(stage)) is None or not artifact.reused
    }


def _margin(record: TrialRecord, constraint: Constraint) -> float | None:
    """Return None if not known; a metric that a measured trial lacks misses any limit (see `judge`)."""
    estimate = record.metrics.get(constraint.metric)
    if estimate is not None:
        return margin(estimate.value, constraint.limit, constraint.operator == "<=")
    is_cut_short = record.measurement is None or record.measurement.pruned
    return None if is_cut_short else math.inf


def margin(value: float, limit: float, at_most: bool) -> float:
    """Return how far the value is beyond its limit, as a logarithm if both are positive.

    Of a share that is to be near 1, such as a cosine of at least 0.999, what it lacks is what counts.
    """
    if not at_most and MOSTLY < limit < 1 and value <= 1:
        return math.log(max(1 - value, LEAST_LACK) / (1 - limit))
    has_logarithm = value > 0 and limit > 0
    beyond = math.log(value / limit) if has_logarithm else (value - limit) / (abs(limit) or 1.0)
    return beyond if at_most else -beyond


@dataclass(frozen=True)
class Earlier:
    """A study of another model on the same machine; the first observation is its baseline.

    `similarity` is from 0 (tells nothing of this model) to 1 (the same model); only ratios to the baseline
    are taken over.
    """

    name: str
    similarity: float
    observations: tuple[Observation, ...]
