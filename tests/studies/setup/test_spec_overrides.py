"""Inputs that are made static before trial 0."""

from pathlib import Path
from typing import Any

import pytest

from engines.artifacts.workspace import Workspace
from engines.core.errors import UserError
from examples import models
from studies.setup.spec import settle
from tests.studies.planned import Ask, request_in


def test_overridden_inputs_are_static_and_have_no_batch_to_search(ask: Ask) -> None:
    workload = ask(override_shapes=("x:4x3x12x12",)).workload
    assert workload.override_shapes == {"x": (4, 3, 12, 12)}
    assert workload.model.inputs[0].shape == (4, 3, 12, 12)
    assert workload.model.outputs[0].shape == (4, 5)
    assert (workload.plan.batch, workload.batched_inputs) == (4, ())
    assert workload.plan.ranges["x"].optimum == (4, 3, 12, 12)
    assert workload.model.digest == ask().workload.model.digest


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"override_shapes": ("z:1x3x12x12",)}, "no input 'z'"),
        ({"override_shapes": ("x:3x12x12",)}, "has 4 dimensions, not 3"),
        ({"override_shapes": ("x:1x4x12x12",)}, "fixed to 3, not 4"),
        ({"override_shapes": ("x:0x3x12x12",)}, "a dimension below 1"),
        ({"override_shapes": ("x",)}, "cannot read the shape 'x'"),
        ({"override_shapes": ("x:1x3x12x12", "x:2x3x12x12")}, "given twice"),
        (
            {"override_shapes": ("x:4x3x12x12",), "shapes": ("x:2x3x12x12",)},
            "fixed to 4, not 2",
        ),
        (
            {"override_shapes": ("x:4x3x12x12",), "max_shapes": ("x:8x3x12x12",)},
            "fixed to 4, not 8",
        ),
    ],
    ids=str,
)
def test_overrides_that_the_model_cannot_take_are_refused(
    ask: Ask, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError, match=said):
        ask(**changes)


def test_inputs_that_share_a_dimension_cannot_be_made_static_apart(here: Path) -> None:
    models.save("mixed_types", here)
    shapes = ("features:2x16", "categories:4x4")
    with pytest.raises(UserError, match="batch"):
        settle(
            request_in(here, model=here / "mixed_types.onnx", override_shapes=shapes), Workspace(here / "w")
        )
