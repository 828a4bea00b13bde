"""A study that an earlier version stored is the same study today: its keys, and the names of its files."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from engines.accuracy.reference import reference_file
from engines.core import earlier, wire
from engines.core.values import Case, InputSource, Profile, ShapePlan, ShapeRange
from engines.data.calibration import calibration_identity
from studies.core.identity import evaluation_key
from studies.core.records import StudySpec

# written when a workload had shapes, a batch and paths; the digests below are those that it had then
STORED = Path(__file__).with_name("stored_spec.json")


@pytest.fixture
def plain() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(STORED.read_text())
    return found


@pytest.fixture
def spec() -> StudySpec:
    return earlier.from_json(STORED.read_bytes(), StudySpec)


def test_shapes_and_batch_are_one_profile_and_one_case(spec: StudySpec) -> None:
    image = ShapeRange((1, 3, 8, 8), (4, 3, 8, 8), (16, 3, 8, 8))
    mask = ShapeRange((2,), (2,), (2,))
    assert spec.workload.plan == ShapePlan(
        (Profile({"image": image, "mask": mask}),), (Case({"image": image.optimum, "mask": (2,)}, 4),)
    )


def test_paths_and_folders_are_where_files_were_last_seen(spec: StudySpec) -> None:
    workload = spec.workload
    sources = (workload.inputs, workload.calibration, workload.expected)
    files = [workload.model.file, *(one.file for one in sources if one), workload.metrics[0].file]
    assert [file and (file.digest, file.name, file.where) for file in files] == [
        ("d" * 64, "net.onnx", "/models/net.onnx"),
        ("ab12", "in.npz", "/data/in.npz"),
        ("ef", "task.py", "/data/functions"),
        ("12", "right.npz", "/data/right.npz"),
        ("ab", "task.py", "/data/functions"),
    ]


def test_random_inputs_have_no_file(plain: dict[str, Any]) -> None:
    plain["workload"]["inputs"] = {"digest": None, "function": None, "path": None, "seed": 3}
    spec = earlier.from_json(json.dumps(plain), StudySpec)
    assert spec.workload.inputs == InputSource(seed=3)


def test_evaluations_keep_the_keys_of_earlier_versions(spec: StudySpec) -> None:
    assert evaluation_key(spec, spec.baseline) == "5f6b4157dd40726b6d38229c27ea48cd"


def test_graphs_and_reference_outputs_keep_the_names_of_earlier_versions(spec: StudySpec) -> None:
    workload = spec.workload
    reference = reference_file(Path(), workload, 8, {"onnxruntime": "1"})
    assert reference.name == "reference-7ecda06904aa9f7a684db4f492e904f0.npz"
    assert wire.digest(calibration_identity(workload)) == "e57a667b2bae1a9e23601c1dd9536dcd"


def test_current_spec_is_read_unchanged(spec: StudySpec) -> None:
    written = wire.to_json(spec)
    assert "plan" in json.loads(written)["workload"]
    assert earlier.from_json(written, StudySpec) == spec


def test_invalid_spec_is_refused_with_the_name_of_the_field(plain: dict[str, Any]) -> None:
    del plain["workload"]["inputs"]
    with pytest.raises(msgspec.ValidationError, match=r"inputs.*\$\.workload"):
        earlier.from_json(json.dumps(plain), StudySpec)
    plain["workload"]["shapes"]["image"] = 3
    with pytest.raises(msgspec.ValidationError):
        earlier.from_json(json.dumps(plain), StudySpec)
    with pytest.raises(msgspec.ValidationError, match="Expected `object`"):
        earlier.from_json("[]", StudySpec)
