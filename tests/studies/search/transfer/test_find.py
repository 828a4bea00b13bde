import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.core.results import Evaluation
from engines.core.values import Dimension, Settings
from engines.statistics.estimates import Estimate
from studies.core.objectives import parse_objectives
from studies.core.records import Prior, StudySpec
from studies.search.transfer.find import (
    MOST_READ,
    MOST_STUDIES,
    MOST_TOGETHER,
    OTHER_VERSIONS,
    earlier_studies,
    priors_of,
    recorded_studies,
    relevance,
    similarity,
)
from studies.storage import study_rows
from studies.storage.evaluation_rows import read_evaluations
from studies.storage.storage import Storage, open_storage
from tests.records import candidate, failed, measured, study_record, study_spec
from tests.workloads import file_at


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[Storage]:
    with open_storage(str(tmp_path / "studies.db")) as opened:
        yield opened


def of_model(digest: str, spec: StudySpec | None = None, *, parameters: int = 272_474) -> StudySpec:
    """The study's spec for a model that differs from the usual one in its weights, or in their number."""
    spec = spec or study_spec()
    model = replace(spec.workload.model, file=file_at("m.onnx", digest), parameters=parameters)
    return replace(spec, workload=replace(spec.workload, model=model))


def keep(storage: Storage, name: str, spec: StudySpec, evaluations: Sequence[Evaluation]) -> None:
    storage.create_study(name, spec, {})
    for number, made in enumerate(evaluations):
        storage.add_trial(
            name,
            number,
            f"{name} {number}",
            made,
            started_at=study_record(1).created_at,
            seconds=1.0,
            reused=False,
            log="",
        )


def few(trials: int = 5, **options: float) -> list[Evaluation]:
    """Evaluations of different candidates, the baseline's first; the later the faster."""
    random = np.random.default_rng(0)
    points = [
        candidate(precision, "all", threads, True)
        for precision in ("fp32", "fp16", "int8")
        for threads in (2, 1, 4, 8)
    ]
    return [
        measured(point, random, latency_ms=10.0 - number, samples=20, **options)  # type: ignore[arg-type]
        for number, point in enumerate(points[:trials])
    ]


def with_steps(spec: StudySpec, count: int) -> StudySpec:
    """With a dimension of so many choices."""
    step = Dimension("step", "run", tuple(range(count)), 0, "a number")
    baseline = replace(spec.baseline, run=Settings(spec.baseline.run, step=0))
    return replace(spec, space=(*spec.space, step), baseline=baseline)


def steps(count: int) -> list[Evaluation]:
    """The baseline at each of them."""
    random, baseline = np.random.default_rng(0), study_spec().baseline
    points = [replace(baseline, run=Settings(baseline.run, step=step)) for step in range(count)]
    return [measured(point, random, blocks=2, samples=20) for point in points]


def names(storage: Storage, spec: StudySpec, but: str | None = None) -> list[str]:
    return [one.name for one in earlier_studies(storage, spec, but)]


def test_earlier_study_has_its_baseline_first_with_values_and_margins(storage: Storage) -> None:
    spec = study_spec(constraints=["error<=0.01", "latency_ms<=5"])
    made = [*few(4), failed(candidate("int8", "none", 8, False), "build", "refused", "no")]
    keep(storage, "other", of_model("other"), made)
    (found,) = earlier_studies(storage, spec)
    assert found.name == "other"
    assert found.similarity == pytest.approx(1.0)
    first, *rest = found.observations
    assert first.candidate == spec.baseline
    assert first.values == pytest.approx((10.0,), rel=0.02)
    # the fastest first, what failed last
    assert [one.candidate.run["intra_op_threads"] for one in rest] == [8, 4, 1, 8]
    assert [one.failed for one in rest] == [None, None, None, "build"]
    # how far a time is from its limit depends on the model, unlike an error
    error, time = first.margins
    assert time is None
    assert error is not None


def test_of_the_same_workload_every_limit_is_comparable(storage: Storage) -> None:
    spec = study_spec(constraints=["error<=0.01", "latency_ms<=5"])
    keep(storage, "same", study_spec(), few(4))
    (found,) = earlier_studies(storage, spec)
    assert found.observations[0].margins[1] == pytest.approx(math.log(2), rel=0.02)


def test_the_most_similar_studies_are_taken_and_named_in_their_order(storage: Storage) -> None:
    for power in (3, 0, 5, 1, 4, 2):
        keep(storage, f"{4**power} times", of_model(str(power), parameters=272_474 * 4**power), few(3))
    assert names(storage, study_spec()) == [f"{4**power} times" for power in range(MOST_STUDIES)]


def test_all_together_are_no_more_than_a_search_has_room_for(storage: Storage) -> None:
    spec = with_steps(study_spec(), 80)
    for power in range(3):
        keep(
            storage,
            f"{10**power} times",
            of_model(str(power), spec, parameters=272_474 * 10**power),
            steps(80),
        )
    found = earlier_studies(storage, spec)
    assert [len(one.observations) for one in found] == [60, 40]
    assert sum(len(one.observations) for one in found) == MOST_TOGETHER
    assert recorded_studies(storage, spec, priors_of(found)) == found


def test_of_a_large_study_a_part_is_read_with_what_is_the_baseline_here(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = with_steps(study_spec(), 2 * MOST_READ)
    made = steps(2 * MOST_READ)
    keep(storage, "large", of_model("other", spec), made)
    # what the search begins from is another than what the study began from
    later = replace(spec, baseline=made[-8].candidate)
    read: list[Evaluation] = []

    def spied(*arguments: Any) -> dict[int, Evaluation]:
        found = read_evaluations(*arguments)
        read.extend(found.values())
        return found

    monkeypatch.setattr(study_rows, "read_evaluations", spied)
    (found,) = earlier_studies(storage, later)
    assert MOST_READ <= len(read) <= MOST_READ + 2
    assert found.observations[0].candidate == later.baseline
    step = [int(one.candidate.run["step"]) for one in found.observations]
    assert min(step) < 20
    assert max(step) > 2 * MOST_READ - 20


def test_the_study_itself_is_none_of_them(storage: Storage) -> None:
    for name in ("one", "two"):
        keep(storage, name, of_model(name), few(3))
    assert names(storage, of_model("one"), but="one") == ["two"]


def test_largest_of_several_studies_of_one_workload_is_used(storage: Storage) -> None:
    for name, trials in (("small", 3), ("large", 6), ("newest", 4)):
        keep(storage, name, of_model("same"), few(trials))
    assert names(storage, study_spec()) == ["large"]


def test_uninformative_study_is_left_out(storage: Storage) -> None:
    baseline = study_spec().baseline
    keep(storage, "too few", of_model("1"), few(2))
    keep(storage, "failed baseline", of_model("2"), [failed(baseline, "build", "refused", ""), *few(4)[1:]])
    broken = failed(baseline, "build", "internal", "our mistake")
    keep(storage, "accident at the baseline", of_model("4"), [broken, *few(4)[1:]])
    keep(storage, "no score", of_model("3"), few(4))
    assert names(storage, study_spec(["latency_ms", "energy_mj"])) == []
    assert names(storage, study_spec()) == ["no score"]


def test_accidental_failures_are_ignored(storage: Storage) -> None:
    broken = failed(candidate("int8", "none", 8, False), "build", "internal", "our mistake")
    keep(storage, "other", of_model("other"), [*few(3), broken])
    (found,) = earlier_studies(storage, study_spec())
    assert len(found.observations) == 3


def test_machine_backend_and_kind_of_objective_decide_what_counts() -> None:
    spec, other = study_spec(), of_model("other")
    alike = similarity(spec.workload, other.workload)
    assert relevance(spec, other) == alike
    newer = replace(other.machine, libraries={"onnxruntime": "2.0"}, driver="600")
    assert relevance(spec, replace(other, machine=newer)) == pytest.approx(OTHER_VERSIONS * alike)
    assert relevance(spec, replace(other, backend_options=Settings(device=1))) < alike
    assert relevance(spec, replace(other, machine=replace(newer, processor="another"))) == 0
    assert relevance(spec, replace(other, backend="fake")) == 0
    assert relevance(spec, replace(other, objectives=parse_objectives(["p99_ms"]))) == alike
    assert relevance(spec, replace(other, objectives=parse_objectives(["throughput"]))) == 0
    assert relevance(spec, replace(other, space=())) == 0


def test_latency_study_gives_the_percentile_of_the_objective(storage: Storage) -> None:
    keep(storage, "other", of_model("other"), few(3))
    (found,) = earlier_studies(storage, study_spec(["p99_ms"]))
    trials = storage.read_study("other").trials
    assert [one.values for one in found.observations] == [
        (trials[number].metrics["p99_ms"].value,) for number in (0, 2, 1)
    ]


def test_recorded_studies_are_read_if_still_stored(storage: Storage) -> None:
    spec = study_spec()
    keep(storage, "other", of_model("other"), few(4))
    found = earlier_studies(storage, spec)
    recorded = priors_of(found)
    assert recorded == (Prior("other", found[0].similarity, 4),)
    keep(storage, "a better one", spec, few(6))
    assert recorded_studies(storage, spec, (*recorded, Prior("gone", 0.9, 5))) == found


def test_dissimilar_study_is_left_out(storage: Storage) -> None:
    spec = study_spec()
    other = of_model("other")
    model = replace(other.workload.model, operators={"Softmax": 5})
    keep(storage, "other", replace(other, workload=replace(other.workload, model=model)), few(4))
    assert names(storage, spec) == []


def test_what_is_less_than_half_alike_is_left_out(storage: Storage) -> None:
    for times in (2, 8, 512, 4096):
        keep(storage, f"{times} times", of_model(str(times), parameters=272_474 * times), few(3))
    assert names(storage, study_spec()) == ["2 times", "8 times"]


def test_intervals_become_variances(storage: Storage) -> None:
    keep(storage, "other", of_model("other"), few(3, noise=0.05))
    (found,) = earlier_studies(storage, study_spec())
    estimate = storage.read_study("other").trials[0].metrics["latency_ms"]
    assert isinstance(estimate, Estimate)
    assert estimate.relative_half_width is not None
    assert found.observations[0].variances == pytest.approx(((estimate.relative_half_width / 1.96) ** 2,))
