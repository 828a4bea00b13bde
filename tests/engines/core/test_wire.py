import math

import msgspec
import numpy as np
import pytest

from engines.core.results import Block, Evaluation, Failure, Measurement
from engines.core.values import Candidate, Settings, text_of
from engines.core.wire import digest, from_json, to_json, to_plain

CANDIDATE = Candidate(graph=Settings(precision="int8"), run=Settings(streams=2, spin=True, share=0.5))


def test_a_candidate_comes_back_with_its_types() -> None:
    back = from_json(to_json(CANDIDATE), Candidate)
    assert back == CANDIDATE
    assert [type(value) for value in back.run.values()] == [float, bool, int]


def test_samples_come_back_to_the_last_bit_and_cannot_be_changed() -> None:
    samples = np.array([math.pi, 1e-300, 0.1 + 0.2])
    measurement = Measurement((Block(samples, 1.0, 2.0, {"power_w": 70.5}),), 1, 1, 0.1, 3, converged=True)
    evaluation = Evaluation(CANDIDATE, measurement=measurement)
    back = from_json(to_json(evaluation), Evaluation)
    assert back.measurement is not None
    block = back.measurement.blocks[0]
    assert block.latency_ms.tobytes() == samples.tobytes()
    assert block.telemetry == {"power_w": 70.5}
    with pytest.raises(ValueError, match="read-only"):
        block.latency_ms[0] = 1.0


def test_equal_values_have_equal_digests_whatever_the_order() -> None:
    assert digest(Settings(a=1, b=2)) == digest(Settings({"b": 2, "a": 1}))
    assert digest(Settings(a=1)) != digest(Settings(a=2))
    assert digest(Settings(a=1)) != digest(Settings(a="1"))
    assert len(digest("x")) == 32


def test_settings_are_hashable_and_equal_to_a_dict() -> None:
    assert {Settings(a=1): "found"}[Settings(a=1)] == "found"
    assert Settings(b=1, a=2) == {"a": 2, "b": 1}
    assert list(Settings(b=1, a=2)) == ["a", "b"]


def test_a_field_of_the_wrong_type_is_named() -> None:
    with pytest.raises(msgspec.ValidationError, match=r"kind.*\$\.kind|\$\.kind"):
        from_json(b'{"stage":"build","kind":"boredom","message":"m"}', Failure)


def test_an_evaluation_has_exactly_one_of_measurement_and_failure() -> None:
    with pytest.raises(ValueError, match="exactly one"):
        Evaluation(CANDIDATE)


def test_plain_values_are_dicts_and_lists() -> None:
    assert to_plain(CANDIDATE) == {
        "graph": {"precision": "int8"},
        "build": {},
        "run": {"share": 0.5, "spin": True, "streams": 2},
    }


def test_a_setting_is_spelled_as_a_user_writes_it() -> None:
    assert (text_of(True), text_of(3), text_of("FULL")) == ("true", "3", "FULL")
