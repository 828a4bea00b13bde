"""The smallest set of nodes that must stay in FP32: found with few attempts, since each builds an engine."""

from collections.abc import Callable, Sequence

# whether an engine with these nodes kept is within its limits
Attempt = Callable[[tuple[str, ...]], bool]


def smallest_set(ranked: Sequence[str], attempt: Attempt) -> tuple[str, ...] | None:
    """The nodes without any one of which the attempt fails; None where keeping all of them does not help.

    `ranked` are the nodes that may be kept, the most hurtful first. A prefix of them is found by doubling,
    and what it holds in vain is taken out as QuickXplain does (Junker, AAAI 2004), which asks about
    2 k log2(n / k) times for k of n. Where keeping more can make things worse, what is found still helps
    and none of it can be left out, but there may be a smaller set.
    """
    prefix = _helpful_prefix(ranked, attempt)
    if not prefix:
        return prefix
    return _explained((), (), prefix, attempt)


def _helpful_prefix(ranked: Sequence[str], attempt: Attempt) -> tuple[str, ...] | None:
    """A prefix, at most twice as long as it must be, that helps; None without one."""
    count = 0
    while not attempt(tuple(ranked[:count])):
        if count >= len(ranked):
            return None
        count = min(max(1, 2 * count), len(ranked))
    return tuple(ranked[:count])


def _explained(
    background: tuple[str, ...], added: tuple[str, ...], nodes: tuple[str, ...], attempt: Attempt
) -> tuple[str, ...]:
    """What of the nodes is needed beside the background, which just got what is `added`."""
    if added and attempt(background):
        return ()
    if len(nodes) == 1:
        return nodes
    middle = len(nodes) // 2
    first, second = nodes[:middle], nodes[middle:]
    needed = _explained((*background, *first), first, second, attempt)
    return (*_explained((*background, *needed), needed, first, attempt), *needed)
