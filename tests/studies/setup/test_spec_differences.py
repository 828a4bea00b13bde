"""Which options make another study."""

from pathlib import Path
from typing import Any

import pytest

from engines.core.values import Workload
from studies.setup.naming import differences
from tests.studies.planned import TASK, Ask, specified

OPTIONS: dict[str, Any] = {
    "inputs": Path("data.npz"),
    "calibration": "task:batches",
    "reference": Path("right.npz"),
    "metrics": ("task:accuracy",),
    "keep_fp32": ("conv", "MatMul"),
    "override_shapes": ("x:4x3x12x12",),
}


def test_the_same_options_are_the_same_study(ask: Ask) -> None:
    first, _ = specified(ask(**OPTIONS))
    reordered = {**OPTIONS, "keep_fp32": ("MatMul", "conv"), "calibration": "task.py:batches"}
    second, _ = specified(ask(**reordered))
    assert differences(first, second) == {}


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"calibration": "data.npz"}, "calibration data"),
        ({"calibration": "task:other"}, "calibration data"),
        ({"calibration": None}, "calibration data"),
        ({"reference": Path("wrong.npz")}, "reference"),
        ({"reference": None}, "reference"),
        ({"metrics": ("task:loss",)}, "set of metrics"),
        ({"metrics": ("task:accuracy:minimize",)}, "set of metrics"),
        ({"metrics": ()}, "set of metrics"),
        ({"keep_fp32": ("conv",)}, "set of nodes kept in FP32"),
        ({"keep_fp32": ()}, "set of nodes kept in FP32"),
    ],
    ids=str,
)
def test_with_another_of_them_it_is_another_study(ask: Ask, change: dict[str, Any], what: str) -> None:
    first, _ = specified(ask(**OPTIONS))
    second, _ = specified(ask(**{**OPTIONS, **change}))
    assert set(differences(first, second)) == {what}
    assert set(differences(second, first)) == {what}


def test_with_another_override_it_is_another_study(ask: Ask) -> None:
    workloads: list[Workload] = []
    specs = []
    for shapes in (("x:4x3x12x12",), ()):
        question = ask(override_shapes=shapes, shapes=("x:4x3x12x12",))
        workloads.append(question.workload)
        specs.append(specified(question)[0])
    assert workloads[0].plan == workloads[1].plan
    assert "shape override" in differences(*specs)


def test_a_function_that_was_changed_since_makes_another_study(ask: Ask, here: Path) -> None:
    first, _ = specified(ask(**OPTIONS))
    (here / "task.py").write_text(TASK.replace("return 0.5", "return 0.75"))
    second, _ = specified(ask(**OPTIONS))
    assert set(differences(first, second)) == {"calibration data", "set of metrics"}
