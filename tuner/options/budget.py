"""How long a search and a measurement go on: what the user asked for, and what the space makes of that."""

from dataclasses import replace

from dashboards.words import formats
from engines.core.errors import UserError
from engines.core.values import Policy
from engines.trials.sampling import MINIMUM_BLOCKS
from studies.belief.measurement_plan import MeasurementPlan
from studies.core import space as spaces
from studies.core.records import StudySpec
from studies.run.limits import Limits, searching_seconds
from tuner.options.search import Budget

DEFAULT_TRIALS = 50
DEFAULT_MIN_GAIN = 0.01
# larger spaces are sampled, not tried one by one
MOST_CANDIDATES = 10_000


def limits_of(budget: Budget, spec: StudySpec, measurement_plan: MeasurementPlan) -> Limits:
    """Return the limits of the search; `measurement_plan` suits its objectives.

    Raises UserError where everything is to be tried and that cannot be.
    """
    seconds = searching_seconds(budget.timeout, measurement_plan)
    trials = _all_trials(budget, spec) if budget.exhaustive else budget.trials
    return Limits(trials or DEFAULT_TRIALS, seconds, budget.trial_timeout, min_gain(budget))


def min_gain(budget: Budget) -> float | None:
    """Return the smallest relative gain worth searching for; None for an exhaustive search."""
    if budget.exhaustive or budget.min_gain == 0:
        return None
    return DEFAULT_MIN_GAIN if budget.min_gain is None else budget.min_gain


def candidates_of(spec: StudySpec) -> int:
    """Return the number of trials of an exhaustive search, with a baseline that the space lacks."""
    return spaces.size(spec.space) + (not spaces.contains(spec.space, spec.baseline.settings))


def _all_trials(budget: Budget, spec: StudySpec) -> int:
    every = candidates_of(spec)
    if every > MOST_CANDIDATES:
        raise UserError(
            f"--exhaustive would try {every:,} candidates, and tries {MOST_CANDIDATES:,} at most",
            "Narrow the space with --fix NAME=VALUE, or leave --exhaustive out.",
        )
    if budget.trials is not None and budget.trials < every:
        raise UserError(
            f"--exhaustive tries {formats.plural(every, 'candidate')}, and --trials allows {budget.trials}",
            "Leave one of them out, or narrow the space with --fix NAME=VALUE.",
        )
    return every


def lasting(
    policy: Policy, warm_up: float | None, duration: float | None, *, in_one_go: bool = False
) -> Policy:
    """Return the policy with the given times in seconds; None keeps its own."""
    if warm_up is not None:
        policy = replace(policy, warmup_seconds=warm_up)
    if duration is None:
        return policy
    block = duration if in_one_go else min(policy.block_seconds, duration / MINIMUM_BLOCKS)
    return replace(policy, minimum_seconds=duration, maximum_seconds=duration, block_seconds=block)
