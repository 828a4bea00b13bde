import json
import math
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from engines.core import wire
from engines.core.results import Accuracy, Artifact, Block, Evaluation, Failure, Measurement, OutputError
from engines.core.values import Candidate, Settings
from studies.core.records import StudySpec
from studies.storage.storage import Storage

CANDIDATE = Candidate(
    Settings(precision="int8", symmetric=True), Settings(level=5, share=0.1), Settings(streams=2, name="ünï")
)
GRAPH = Artifact("g" * 32, 1_000_000, 0.2, False, {"nodes": 12, "simplified": True, "note": "a\0b"})
ENGINE = Artifact("e" * 32, 2**40, 1.5, False, {"build_seconds": 1.25})
REUSED_ENGINE = Artifact("e" * 32, 2**40, 0.0, True, {"build_seconds": 1.25, "loaded": "from the cache"})
ACCURACY = Accuracy((OutputError("z last", 1e-300, 0.1 + 0.2), OutputError("a first", 0.0, 5e-324)), 16)
AWKWARD_SAMPLES = np.array([0.1 + 0.2, 5e-324, 1e308, -0.0, math.inf, math.nan])


def block(count: int, **telemetry: float) -> Block:
    latency = np.random.default_rng(count).lognormal(size=count)
    return Block(latency, 0.1 + count / 3, 1_763_708_400.123456, telemetry)


def measurement(*blocks: Block, memory_bytes: int | None = None, converged: bool = True) -> Measurement:
    return Measurement(blocks, 8, 2, 0.1 + 0.2, 2**33, converged, memory_bytes)


EVALUATIONS = {
    "refused before there was a graph": Evaluation(
        CANDIDATE, failure=Failure("prepare", "refused", "no such precision")
    ),
    "failed in building": Evaluation(
        CANDIDATE,
        GRAPH,
        failure=Failure("build", "out_of_memory", "wants 12 GiB: 'ö' \"\\n\"\nsecond line", "Use less."),
        stage_seconds={"graph": 0.1 + 0.2, "build": 3.0},
    ),
    "failed with an accuracy": Evaluation(
        CANDIDATE, GRAPH, ENGINE, ACCURACY, failure=Failure("check", "not_finite", "NaN in 'y'", "")
    ),
    "failed with an accuracy that is not finite": Evaluation(
        CANDIDATE,
        GRAPH,
        ENGINE,
        Accuracy((OutputError("y", math.nan, math.inf), OutputError("z", -math.inf, math.nan)), 1),
        failure=Failure("check", "not_finite", "NaN in 'y'"),
    ),
    "several blocks of different lengths": Evaluation(
        CANDIDATE, GRAPH, ENGINE, ACCURACY, measurement(block(7), block(1), block(300), memory_bytes=2**40)
    ),
    "telemetry": Evaluation(
        CANDIDATE,
        GRAPH,
        REUSED_ENGINE,
        ACCURACY,
        measurement(block(5, clock_mhz=1980.0, power_watts=math.nan), block(5, hottest=math.inf)),
    ),
    "samples of every kind": Evaluation(
        CANDIDATE, measurement=measurement(Block(AWKWARD_SAMPLES, 1.0, 0.0), converged=False)
    ),
    "samples that are not contiguous": Evaluation(
        CANDIDATE, measurement=measurement(Block(np.arange(10.0)[::3], 1.0, 0.0))
    ),
    "an empty block": Evaluation(CANDIDATE, measurement=measurement(block(0), block(2))),
    "blocks of several cases": Evaluation(
        CANDIDATE, measurement=measurement(block(2), replace(block(3), case=1, disturbed="throttled"))
    ),
    "no blocks": Evaluation(Candidate(), measurement=measurement()),
    "every measure of accuracy, and scores": Evaluation(
        CANDIDATE,
        accuracy=Accuracy(
            (OutputError("y", 0.1, 0.2, 0.1 + 0.2, 1 - 1e-16, 0.75), OutputError("z", 0.0, 0.0, 0.0, -0.5)),
            4,
            {"accuracy": 0.1 + 0.2, "größe": -1e300},
        ),
        measurement=measurement(block(3)),
    ),
    "an accuracy without outputs": Evaluation(CANDIDATE, accuracy=Accuracy((), 4), measurement=measurement()),
}


def exactly(evaluation: Evaluation) -> str:
    """Everything in it as text, down to the last bit and with NaN equal to NaN."""
    return json.dumps(wire.to_plain(evaluation), indent=1)


def add(storage: Storage, key: str, evaluation: Evaluation, number: int = 0) -> None:
    storage.add_trial(
        "study", number, key, evaluation, started_at=datetime.now(UTC), seconds=1.0, reused=False, log=""
    )


@pytest.mark.parametrize("shape", EVALUATIONS)
def test_evaluation_is_read_exactly_as_stored(storage: Storage, study_spec: StudySpec, shape: str) -> None:
    storage.create_study("study", study_spec, {})
    add(storage, "key", EVALUATIONS[shape])
    found = storage.find_evaluation("key")
    assert found is not None
    assert exactly(found) == exactly(EVALUATIONS[shape])


def test_all_evaluations_of_a_study_are_read_exactly_as_stored(
    storage: Storage, study_spec: StudySpec
) -> None:
    shapes = [shape for shape in EVALUATIONS.values() if not (shape.measurement and not _samples(shape))]
    storage.create_study("study", study_spec, {})
    for number, evaluation in enumerate(shapes):
        add(storage, f"key {number}", evaluation, number)
    found = [trial.evaluation for trial in storage.read_study("study").trials]
    assert [exactly(evaluation) for evaluation in found] == [exactly(evaluation) for evaluation in shapes]


def test_samples_that_were_read_cannot_be_changed(storage: Storage, study_spec: StudySpec) -> None:
    storage.create_study("study", study_spec, {})
    add(storage, "key", EVALUATIONS["telemetry"])
    found = storage.find_evaluation("key")
    assert found is not None
    assert found.measurement is not None
    assert not any(one.latency_ms.flags.writeable for one in found.measurement.blocks)


def test_text_that_no_database_can_hold_is_stored_without_it(storage: Storage, study_spec: StudySpec) -> None:
    storage.create_study("study", study_spec, {})
    add(storage, "key", Evaluation(CANDIDATE, failure=Failure("load", "crashed", "a\0b\udc80c", "ö\0")))
    found = storage.find_evaluation("key")
    assert found is not None
    assert found.failure == Failure("load", "crashed", "a\ufffdb\ufffdc", "ö\ufffd")


def test_an_engine_keeps_what_its_first_making_took(storage: Storage, study_spec: StudySpec) -> None:
    storage.create_study("study", study_spec, {})
    for number, engine in enumerate((ENGINE, REUSED_ENGINE)):
        add(storage, f"key {number}", Evaluation(CANDIDATE, GRAPH, engine, None, measurement()), number)
    with storage.engine.begin() as connection:
        rows = connection.exec_driver_sql("SELECT digest, size_bytes, seconds, facts FROM tuner_engine").all()
    assert [tuple(row) for row in rows] == [("e" * 32, 2**40, 1.5, '{"build_seconds": 1.25}')]


def _samples(evaluation: Evaluation) -> int:
    blocks = evaluation.measurement.blocks if evaluation.measurement else ()
    return min((len(block.latency_ms) for block in blocks), default=0)
