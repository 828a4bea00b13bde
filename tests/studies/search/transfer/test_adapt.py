from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise, product

from engines.core.values import Candidate, Dimension, Settings
from studies.core.records import StudySpec
from studies.search.observations import Observation
from studies.search.transfer.adapt import MOST_OBSERVATIONS, chosen, mapped, taken_over, worth_reading
from tests.records import candidate, study_spec

BEST_OBSERVATIONS = 20


def here(found: Candidate, spec: StudySpec, other: StudySpec) -> Candidate | None:
    """The other study's candidate in the space of the spec."""
    return mapped(found, spec.space, spec.baseline, other.baseline.settings)


def test_a_candidate_keeps_the_settings_that_both_spaces_have() -> None:
    spec = study_spec()
    there = candidate("int8", "none", 4, False)
    assert here(there, spec, spec) == there
    smaller = replace(spec, space=(replace(spec.space[0], choices=("fp32", "fp16")), *spec.space[1:]))
    assert here(there, smaller, spec) is None
    assert here(candidate("fp16", "none", 4, False), smaller, spec) is not None


def test_the_baseline_is_the_baseline_even_outside_a_narrowed_space() -> None:
    spec = study_spec()
    fixed = replace(spec, space=(replace(spec.space[0], choices=("int8",)), *spec.space[1:]))
    assert here(spec.baseline, fixed, spec) == fixed.baseline
    # but what differs from it is not taken for another point
    assert here(candidate("fp32", "none", 2, True), fixed, spec) is None


def test_dimensions_that_only_one_has_are_at_their_defaults() -> None:
    spec = study_spec()
    more = Dimension("sparsity", "build", (False, True), False, "kernels for sparse weights")
    richer = replace(
        spec,
        space=(*spec.space, more),
        baseline=replace(spec.baseline, build=Settings(spec.baseline.build, sparsity=False)),
    )
    there = candidate("fp16", "basic", 4, True)
    found = here(there, richer, spec)
    assert found is not None
    assert found.settings == {**there.settings, "sparsity": False}
    assert here(found, spec, richer) == there
    away = replace(found, build=Settings(found.build, sparsity=True))
    assert here(away, spec, richer) is None


def test_unavailable_default_becomes_the_default_here() -> None:
    """As the batch is where it is not searched: each model's own."""
    spec = study_spec()

    def with_batch(batch: int) -> StudySpec:
        dimension = Dimension("batch", "run", (batch,), batch, "samples in one inference")
        baseline = replace(spec.baseline, run=Settings(spec.baseline.run, batch=batch))
        return replace(spec, space=(*spec.space, dimension), baseline=baseline)

    there = candidate("fp16", "basic", 4, True)
    there = replace(there, run=Settings(there.run, batch=8))
    found = here(there, with_batch(1), with_batch(8))
    assert found is not None
    assert found.settings == {**there.settings, "batch": 1}


def observed(number: int, *values: float, missed: float = -1.0, fails: bool = False) -> Observation:
    point = Candidate(run=Settings(number=number))
    if fails:
        return Observation(point, None, failed="build")
    return Observation(point, values, (0.0,) * len(values), (missed,))


def numbers(found: Sequence[Observation]) -> list[object]:
    return [one.candidate.run["number"] for one in found]


def test_few_observations_are_all_kept_the_best_first() -> None:
    some = [observed(0, 5.0), observed(1, fails=True), observed(2, 3.0, missed=0.5), observed(3, 9.0)]
    assert numbers(chosen([*some, observed(4, 2.0)], ["minimize"])) == [0, 4, 3, 2, 1]
    assert numbers(chosen([*some, observed(4, 2.0)], ["maximize"])) == [0, 3, 4, 2, 1]
    assert chosen(some[:1], ["minimize"]) == tuple(some[:1])


def test_of_many_the_best_and_a_spread_of_good_bad_and_failed_are_kept() -> None:
    feasible = [observed(number, 1000.0 - number) for number in range(301)]
    infeasible = [observed(number, 1.0, missed=0.1) for number in range(301, 401)]
    broken = [observed(number, fails=True) for number in range(401, 501)]
    found = numbers(chosen([*feasible, *infeasible, *broken], ["minimize"]))
    assert len(found) == len(set(found)) == MOST_OBSERVATIONS
    assert found[: BEST_OBSERVATIONS + 1] == [0, *range(300, 300 - BEST_OBSERVATIONS, -1)]
    spread = [int(str(one)) for one in found[BEST_OBSERVATIONS + 1 :]]
    parts = ((1, 50), (51, 280), (301, 400), (401, 500))
    assert all(sum(low <= one <= high for one in spread) >= 3 for low, high in parts)


def test_several_objectives_keep_the_front() -> None:
    front = [observed(number, float(number), 100.0 - number) for number in range(1, 11)]
    beaten = [observed(number, 20.0 + number, 120.0) for number in range(11, 200)]
    found = numbers(chosen([observed(0, 50.0, 200.0), *beaten, *front], ["minimize", "minimize"]))
    assert found[1:11] == list(range(1, 11))


def test_baseline_comes_first_and_is_required() -> None:
    spec = study_spec()
    points = [spec.baseline, *(candidate("fp16", "all", threads, True) for threads in (1, 2, 4))]
    seen = [Observation(point, (float(place + 1),), (0.0,), (-1.0,)) for place, point in enumerate(points)]
    found = taken_over(seen, spec.space, spec.baseline, ["minimize"], [True])
    assert found == tuple(seen)
    failed = replace(seen[0], values=None, failed="build")
    assert taken_over([failed, *seen[1:]], spec.space, spec.baseline, ["minimize"], [True]) == ()
    assert taken_over([], spec.space, spec.baseline, ["minimize"], [True]) == ()


def test_incomparable_margins_are_none() -> None:
    spec = study_spec()
    points = [spec.baseline, *(candidate("fp16", "all", threads, True) for threads in (1, 2))]
    seen = [Observation(point, (1.0,), (0.0,), (0.5, -1.0)) for point in points]
    found = taken_over(seen, spec.space, spec.baseline, ["minimize"], [False, True])
    assert [one.margins for one in found] == [(None, -1.0)] * 3


def test_candidates_that_are_the_same_here_are_kept_once() -> None:
    """As where a batch is searched there, from another default, and fixed here."""
    spec = study_spec()
    (threads,) = [one for one in spec.space if one.name == "intra_op_threads"]
    narrow = tuple(replace(one, choices=(4,), default=4) if one is threads else one for one in spec.space)
    baseline = candidate("fp32", "all", 4, True)
    formats = ("fp32", "fp16", "int8")
    points = [candidate(precision, "all", at, True) for precision in formats for at in (2, 4)]
    seen = [Observation(point, (float(place + 1),), (0.0,)) for place, point in enumerate(points)]
    found = taken_over(seen, narrow, baseline, ["minimize"], [])
    assert [one.candidate.graph["precision"] for one in found] == list(formats)
    # as they are at the default here, which was tried there
    assert [one.values for one in found] == [(2.0,), (4.0,), (6.0,)]
    # where it was not, all are converted as at the default there
    found = taken_over(seen[::2], narrow, baseline, ["minimize"], [])
    assert [one.values for one in found] == [(1.0,), (3.0,), (5.0,)]


def test_another_baseline_of_the_same_space_is_one_candidate_among_others() -> None:
    """As where the default batch is another: ratios are to what is the default here."""
    spec = study_spec()
    points = [candidate("fp32", "all", threads, True) for threads in (8, 4, 2, 1)]
    seen = [Observation(point, (float(place + 1),), (0.0,)) for place, point in enumerate(points)]
    first, *rest = taken_over(seen, spec.space, spec.baseline, ["minimize"], [])
    assert first == seen[2]
    assert [one.candidate.run["intra_op_threads"] for one in rest] == [8, 4, 1]
    without = [one for one in seen if one.candidate != spec.baseline]
    assert taken_over(without, spec.space, spec.baseline, ["minimize"], []) == ()
    failing = [replace(one, values=None, failed="build") if one is seen[2] else one for one in seen]
    assert taken_over(failing, spec.space, spec.baseline, ["minimize"], []) == ()


def test_of_many_candidates_those_worth_reading_are_spread_and_hold_both_baselines() -> None:
    spec = study_spec()
    formats, levels = ("int8", "fp16", "fp32"), ("none", "basic", "all")
    points = [candidate(*at, threads, True) for at in product(formats, levels) for threads in (1, 4, 8, 2)]
    gone = replace(points[5], graph=Settings(precision="fp8"))
    points[5] = gone
    found = worth_reading(points, spec.space, spec.baseline, 6)
    assert {0, points.index(spec.baseline)} <= set(found)
    assert 6 <= len(found) <= 8
    assert max(late - early for early, late in pairwise(found)) < 10
    everything = worth_reading(points, spec.space, spec.baseline, 99)
    assert everything == tuple(place for place in range(len(points)) if place != 5)
    assert worth_reading(points[:-1], spec.space, spec.baseline, 99) == ()
