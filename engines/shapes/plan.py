"""The batches that a throughput search tries."""

from engines.core.values import Workload


def batch_choices(workload: Workload, largest: int) -> tuple[int, ...]:
    """Powers of two inside the range that was given, its end, and the batch asked for.

    Without a range it is from 1 to `largest`; where the model fixes its batch there is no other.
    """
    if not workload.batched_inputs:
        return (workload.batch,)
    ranges = [workload.shapes[name] for name in workload.batched_inputs]
    low = max(shapes.minimum[0] for shapes in ranges)
    high = min(shapes.maximum[0] for shapes in ranges)
    if low == high:
        low, high = 1, max(largest, workload.batch)
    inside = {batch for batch in powers_of_two(high) if batch >= low}
    return tuple(sorted(inside | {workload.batch}))


def powers_of_two(largest: int) -> tuple[int, ...]:
    """1, 2, 4 ... up to and including the largest, which need not be one."""
    powers = {1 << exponent for exponent in range(largest.bit_length())}
    return tuple(sorted({*powers, largest}))
