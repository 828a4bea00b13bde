import itertools
import tracemalloc
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from engines.core.results import Accuracy, Artifact, Evaluation, Failure, FailureKind, OutputError
from engines.core.values import Candidate, Dimension, Settings, Value
from engines.core.wire import digest
from studies.core.records import TrialRecord
from studies.core.space import candidate_at, points
from studies.search.inert_dimensions import inert
from tests.records import START

SPACE = (
    Dimension("precision", "graph", ("fp32", "fp16", "int8"), "fp32", ""),
    Dimension("level", "build", (0, 1, 2), 1, ""),
    Dimension("workspace", "build", (0, 256), 0, ""),
    Dimension("threads", "run", (1, 2), 1, ""),
)
ALIKE = Failure("measure", "internal", "not measured here")
Point = Mapping[str, Value]


def every(**chosen: tuple[Value, ...]) -> list[Point]:
    names = [one.name for one in SPACE if one.kind != "run"]
    choices = [chosen.get(one.name, one.choices) for one in SPACE if one.kind != "run"]
    return [dict(zip(names, values, strict=True)) for values in itertools.product(*choices)]


def tried(
    candidates: Iterable[Point],
    what: Callable[[Point], object],
    error: Callable[[Point], float] = lambda _: 0.01,
    space: tuple[Dimension, ...] = SPACE,
) -> list[TrialRecord]:
    """A trial of each candidate, whose engine is `what` says."""
    return [
        trial(number, candidate_at(space, one), digest(what(one)), error(one))
        for number, one in enumerate(candidates)
    ]


def trial(number: int, candidate: Candidate, fingerprint: str, error: float) -> TrialRecord:
    engine = Artifact(f"engine {number}", 10, 1.0, False, {"fingerprint": fingerprint})
    accuracy = Accuracy((OutputError("y", error, error),), 8)
    return record(number, Evaluation(candidate, engine=engine, accuracy=accuracy, failure=ALIKE))


def record(number: int, evaluation: Evaluation) -> TrialRecord:
    return TrialRecord(number, evaluation.candidate, "failed", {}, {}, evaluation, START, 1.0)


def names(records: list[TrialRecord], space: tuple[Dimension, ...] = SPACE) -> list[str]:
    return [one.name for one in inert(records, space)]


def but(name: str) -> Callable[[Point], object]:
    """Engines to which this dimension makes no difference."""
    return lambda point: {key: value for key, value in point.items() if key != name}


def test_dimension_without_effect_is_inert_and_keeps_the_most_frequent_value() -> None:
    found = inert(tried(every(), but("level")), SPACE)
    assert [(one.name, one.value, one.choices, one.engines) for one in found] == [("level", 0, 3, 18)]
    others = *every(level=(0,), workspace=(0,)), *every(level=(1,), workspace=(256,))
    most = tried([*every(level=(2,)), *others], but("level"))
    assert [one.value for one in inert(most, SPACE)] == [2]
    assert found[0].reason.startswith("level changes nothing here: 3 choices, 18 engines")
    assert found[0].reason.endswith("it leaves the space and stays at 0")


def test_nothing_is_inert_when_all_engines_differ_or_have_no_fingerprint() -> None:
    assert names(tried(every(), dict)) == []
    assert names([]) == []
    silent = tried(every(), lambda _: "alike")
    engine = Artifact("e", 10, 1.0, False)
    assert names([replace(one, evaluation=replace(one.evaluation, engine=engine)) for one in silent]) == []


def test_several_dimensions_can_be_inert_at_once() -> None:
    diagonal: list[Point] = [
        {"precision": precision, "level": level, "workspace": workspace}
        for precision in ("fp32", "fp16", "int8")
        for level, workspace in ((0, 0), (1, 256), (2, 0))
    ]
    assert names(tried(diagonal, lambda point: point["precision"])) == ["level", "workspace"]


def test_only_the_dimension_that_explains_no_difference_is_inert() -> None:
    assert names(tried(every(), but("workspace"))) == ["workspace"]
    # two of three levels give the same engines: level is alive, though some engines are the same
    merged = tried(every(), lambda point: (point["precision"], min(int(point["level"]), 1)))
    assert names(merged) == ["workspace"]


def test_a_choice_that_was_never_tried_may_change_something() -> None:
    assert names(tried(every(level=(0, 1)), but("level"))) == []


def test_fewer_than_three_pairs_are_no_evidence() -> None:
    few = every(precision=("fp32",), level=(1,)), every(precision=("fp16",), level=(1,))
    assert names(tried([*few[0], *few[1]], but("workspace"))) == []
    more = every(precision=("int8",), level=(1,))
    assert names(tried([*few[0], *few[1], *more], but("workspace"))) == ["workspace"]


def test_dimension_inert_in_one_precision_only_is_not_inert() -> None:
    def what(point: Point) -> object:
        return point if point["precision"] == "int8" else but("level")(point)

    assert names(tried(every(), what)) == []


def test_dimension_is_not_inert_before_every_precision_was_tried() -> None:
    two = every(precision=("fp32", "fp16"))
    assert names(tried(two, but("level"))) == []
    alone: list[Point] = [{"precision": "int8", "level": 1, "workspace": 0}]
    assert names(tried([*two, *alone], but("level"))) == []
    pair: list[Point] = [*alone, {"precision": "int8", "level": 2, "workspace": 0}]
    assert names(tried([*two, *pair], but("level"))) == ["level"]
    # nor where the precisions that were tried are the same themselves
    assert names(tried(two, lambda point: point["workspace"])) == []


def test_incompatible_choice_is_not_required_as_evidence() -> None:
    space = (
        *SPACE[:2],
        Dimension("method", "graph", ("max", "entropy"), "max", "", applies_to={"precision": ("int8",)}),
        Dimension("blocks", "build", (0, 1), 0, "", applies_to={"precision": ("fp16",)}),
    )
    everywhere = list(points(space))
    assert names(tried(everywhere, but("blocks"), space=space), space) == ["blocks"]
    # a method means nothing in other precisions, so those show nothing of it
    without = [point for point in everywhere if (point["method"], point["level"]) != ("entropy", 0)]
    maximum = [point for point in without if point["method"] == "max"]
    assert names(tried(maximum, but("level"), space=space), space) == []


def test_build_choice_of_more_than_two_engines_is_required_as_evidence() -> None:
    space = tuple(replace(one, choices=(0, 1, 2, 3)) if one.name == "workspace" else one for one in SPACE)
    seen = every(workspace=(0,))
    rare: list[Point] = [
        {"precision": precision, "level": 1, "workspace": 1} for precision in ("fp32", "fp16", "int8")
    ]
    assert names(tried([*seen, *rare[:2]], but("level"), space=space), space) == ["level"]
    assert names(tried([*seen, *rare], but("level"), space=space), space) == []


def test_dimension_that_decides_shapes_is_never_inert() -> None:
    for name in ("batch", "profile"):
        space = (*SPACE, Dimension(name, "build", (1, 2), 1, ""))
        everywhere = [{**point, name: choice} for point in every() for choice in (1, 2)]
        alike = tried(everywhere, lambda point: point["precision"], space=space)
        assert names(alike, space) == ["level", "workspace"]


def test_the_engines_of_a_large_study_are_not_compared_one_by_one() -> None:
    space = (
        SPACE[0],
        *(Dimension(f"b{place}", "build", tuple(range(6)), 0, "") for place in range(3)),
        Dimension("inert", "build", (0, 1), 0, ""),
    )
    # 1,296 engines, of which there are 839,160 pairs
    records = tried(points(space), but("inert"), space=space)
    tracemalloc.start()
    try:
        assert names(records, space) == ["inert"]
        assert tracemalloc.get_traced_memory()[1] < 10e6
    finally:
        tracemalloc.stop()


def test_engines_with_different_errors_differ() -> None:
    def error(point: Point) -> float:
        return 0.01 * (1 + int(point["level"]))

    assert names(tried(every(), but("level"), error)) == []
    # rounding is no other engine
    assert names(tried(every(), but("level"), lambda point: 0.01 + 1e-7 * int(point["level"]))) == ["level"]


def test_dimension_with_a_choice_that_cannot_be_built_is_not_inert() -> None:
    records = tried(every(), but("level"))

    def with_failure(kind: FailureKind) -> list[TrialRecord]:
        failed = Evaluation(records[4].candidate, failure=Failure("build", kind, "no luck"))
        return [*records[:4], record(4, failed), *records[5:]]

    assert names(with_failure("refused")) == []
    # our own mistake says nothing of the choice
    assert names(with_failure("internal")) == ["level"]


def test_engines_that_are_run_in_several_ways_count_once() -> None:
    runs = [
        candidate_at(SPACE, {**one, "threads": threads})
        for one in every(precision=("fp32",), level=(1,))
        for threads in (1, 2)
    ]
    assert names([trial(number, one, "same", 0.01) for number, one in enumerate(runs)]) == []


def test_a_dimension_is_judged_only_where_it_means_anything() -> None:
    space = (
        *SPACE[:2],
        Dimension("calibration", "graph", ("max", "entropy"), "max", "", applies_to={"precision": ("int8",)}),
    )
    everywhere = list(points(space))
    assert names(tried(everywhere, but("calibration"), space=space), space) == ["calibration"]


def test_a_baseline_outside_of_the_space_hides_nothing() -> None:
    outside = Candidate(Settings(precision="bf16"), Settings(level=7, workspace=0), Settings(threads=1))
    assert names([trial(99, outside, "other", 0.01), *tried(every(), but("level"))]) == ["level"]
