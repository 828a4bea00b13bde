"""How long an engine is warmed up and measured, as the user asked for it."""

from dataclasses import replace

from engines.measuring import MINIMUM_BLOCKS
from engines.values import Policy
from tuner.options import check_time


def check_times(warm_up: float | None, duration: float | None) -> None:
    """Raises UserError for what is no time; None is what was not said."""
    if duration is not None:
        check_time("duration", duration)
    if warm_up is not None:
        check_time("warm-up", warm_up, zero=True)


def lasting(
    policy: Policy, warm_up: float | None, duration: float | None, *, in_one_go: bool = False
) -> Policy:
    """The policy with times in seconds as asked for; None leaves its own."""
    if warm_up is not None:
        policy = replace(policy, warmup_seconds=warm_up)
    if duration is None:
        return policy
    block = duration if in_one_go else min(policy.block_seconds, duration / MINIMUM_BLOCKS)
    return replace(policy, minimum_seconds=duration, maximum_seconds=duration, block_seconds=block)
