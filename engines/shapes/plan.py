"""The shape plan: profiles that an engine is built for, cases it is measured at, changes by a candidate.

By default a study has one profile and one case, the profile's optimum.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from engines.core.values import (
    Candidate,
    Case,
    Profile,
    Shape,
    ShapePlan,
    ShapeRange,
    Value,
    Workload,
)

# settings that change the shapes that an engine is built for and measured at, in spaces that have them
SHAPE_SETTINGS = ("batch", "profile")
WIDE = 4


def single_plan(ranges: Mapping[str, ShapeRange], batch: int) -> ShapePlan:
    """Return a plan of one profile, measured at its optimum, where the batch is `batch`."""
    optimum = {name: of.optimum for name, of in ranges.items()}
    return ShapePlan((Profile(ranges),), (Case(optimum, batch),))


def identity(plan: ShapePlan) -> list[object]:
    """Return what identifies a plan in digests: ranges and batch of a single plan, else all of it."""
    if plan == single_plan(plan.ranges, plan.batch):
        return [plan.ranges, plan.batch]
    return [plan.profiles, plan.cases]


def rebatched(shapes: Mapping[str, Shape], batched_inputs: Collection[str], batch: int) -> dict[str, Shape]:
    """Return the shapes with this batch as the first dimension of the inputs that have one."""
    return {name: (batch, *shape[1:]) if name in batched_inputs else shape for name, shape in shapes.items()}


def case_shapes(workload: Workload, batch: int | None = None, case: int = 0) -> dict[str, Shape]:
    """Return the shapes of a case with this batch; None for its own."""
    found = workload.plan.cases[case]
    return rebatched(found.shapes, workload.batched_inputs, found.batch if batch is None else batch)


def at_batch(workload: Workload, batch: int) -> Workload:
    """Return the workload with this batch in every case."""
    cases = tuple(replace(case, batch=batch) for case in workload.plan.cases)
    return replace(workload, plan=replace(workload.plan, cases=cases))


def asked(candidate: Candidate) -> tuple[Value | None, ...]:
    """Return the settings that must be equal for two engines to be the same and to take the same inputs."""
    settings = candidate.settings
    return tuple(settings.get(name) for name in SHAPE_SETTINGS)


def asked_batch(plan: ShapePlan, candidate: Candidate, case: int = 0) -> int:
    """Return the samples in one inference of a case; the candidate chooses them if there is only one case."""
    own = plan.cases[case].batch
    return int(candidate.settings.get("batch", own)) if len(plan.cases) == 1 else own


def profile_shapes(workload: Workload, candidate: Candidate) -> tuple[dict[str, ShapeRange], ...]:
    """Return the range of each input in each profile of the candidate's engine.

    They are the given ones, or ranges around the batch that the engine is built for.
    """
    plan, kind = workload.plan, str(candidate.build["profile"])
    if kind == "given":
        return tuple(dict(profile.ranges) for profile in plan.profiles)
    return tuple(_ranges_around(workload, _optimum(workload, candidate, one), kind) for one in plan.profiles)


def _optimum(workload: Workload, candidate: Candidate, profile: Profile) -> dict[str, Shape]:
    """Return the profile's ranges, at the candidate's batch if there is only one case."""
    optimum = {name: of.optimum for name, of in profile.ranges.items()}
    if len(workload.plan.cases) > 1:
        return optimum
    batch = int(candidate.build.get("batch", workload.plan.batch))
    return rebatched(optimum, workload.batched_inputs, batch)


def _ranges_around(workload: Workload, optimum: Mapping[str, Shape], kind: str) -> dict[str, ShapeRange]:
    return {facts.name: _around(facts.shape, optimum[facts.name], kind) for facts in workload.model.inputs}


def _around(shape: tuple[int | str | None, ...], optimum: Shape, kind: str) -> ShapeRange:
    """Only dynamic dimensions have a range."""
    sizes = list(zip((isinstance(size, int) for size in shape), optimum, strict=True))

    def scaled(change: Callable[[int], int]) -> Shape:
        return tuple(size if fixed else change(size) for fixed, size in sizes)

    if kind == "static":
        return ShapeRange(optimum, optimum, optimum)
    if kind == "narrow":
        return ShapeRange(scaled(lambda size: max(1, size // 2)), optimum, scaled(lambda size: 2 * size))
    return ShapeRange(scaled(lambda _: 1), optimum, scaled(lambda size: WIDE * size))


def batch_choices(workload: Workload, largest: int) -> tuple[int, ...]:
    """Return the batches that a throughput search tries: powers of two inside the given range, its end, and
    the requested batch.

    Without a range they are from 1 to `largest`. If the model fixes its batch, or cases have batches of their
    own, there is only the requested one.
    """
    plan = workload.plan
    if not workload.batched_inputs or len(plan.cases) > 1:
        return (plan.batch,)
    ranges = [plan.ranges[name] for name in workload.batched_inputs]
    low = max(shapes.minimum[0] for shapes in ranges)
    high = min(shapes.maximum[0] for shapes in ranges)
    if low == high:
        low, high = 1, max(largest, plan.batch)
    inside = {batch for batch in powers_of_two(high) if batch >= low}
    return tuple(sorted(inside | {plan.batch}))


def powers_of_two(largest: int) -> tuple[int, ...]:
    """Return 1, 2, 4 ... up to and including the largest, which need not be a power of two."""
    powers = {1 << exponent for exponent in range(largest.bit_length())}
    return tuple(sorted({*powers, largest}))
