import random

import pytest

from engines.core.errors import UserError
from engines.core.values import Shape
from engines.shapes.text import UNNAMED, format_dims, format_shapes, parse_shapes


@pytest.mark.parametrize(
    ("texts", "shapes"),
    [
        (["x:8x3x224x224,y:1x128"], {"x": (8, 3, 224, 224), "y": (1, 128)}),
        (["x:[8,3,224,224]"], {"x": (8, 3, 224, 224)}),
        (["x:[8, 3] y:[1,128]"], {"x": (8, 3), "y": (1, 128)}),
        (["x:[8,3]", "y:[1]"], {"x": (8, 3), "y": (1,)}),
        (["x:[8,3],y:1x2"], {"x": (8, 3), "y": (1, 2)}),
        (["input:0:1x3x4"], {"input:0": (1, 3, 4)}),
        (["'Input:0':1x3,b:2"], {"Input:0": (1, 3), "b": (2,)}),
        (["'a, b':1x3"], {"a, b": (1, 3)}),
        (['"it\'s":4'], {"it's": (4,)}),
        (["x:scalar,y:[]"], {"x": (), "y": ()}),
        (["8x3x224x224"], {UNNAMED: (8, 3, 224, 224)}),
        (["[8,3]"], {UNNAMED: (8, 3)}),
        (["8"], {UNNAMED: (8,)}),
        (["model/input.1:2x2 "], {"model/input.1": (2, 2)}),
        ([], {}),
    ],
)
def test_shapes_are_read_in_every_spelling(texts: list[str], shapes: dict[str, Shape]) -> None:
    assert parse_shapes(texts) == shapes


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "x:",
        ":1x2",
        "x:1x",
        "x:ax3",
        "x:1*3",
        "x:[1,3",
        "x:1,3]",
        "'x:1x3",
        "x:[a,3]",
        "x:1.5",
        "x:[1]3",
    ],
)
def test_invalid_shape_text_is_refused_with_the_syntax(text: str) -> None:
    with pytest.raises(UserError, match="cannot read the shape") as caught:
        parse_shapes([text])
    assert "NAME:DIMENSIONS" in caught.value.hint


@pytest.mark.parametrize("text", ["x:0x3", "x:-1x3", "x:[8,-1]", "0"])
def test_dimensions_below_one_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="a dimension below 1"):
        parse_shapes([text])


@pytest.mark.parametrize("texts", [["x:1,x:2"], ["x:1", "x:1"], ["1x2", "1x2"]])
def test_an_input_given_twice_is_refused(texts: list[str]) -> None:
    with pytest.raises(UserError, match="given twice"):
        parse_shapes(texts)


def test_dimensions_are_shown_as_the_model_names_them() -> None:
    assert format_dims(("batch", 3, None)) == "batchx3x?"
    assert format_dims(()) == "scalar"


def test_whatever_is_formatted_reads_back() -> None:
    draw = random.Random(1)
    for _ in range(300):
        names = {"".join(draw.choices("ab:0/, x[]'._", k=draw.randint(1, 6))) for _ in range(3)}
        shapes = {name: tuple(draw.choices(range(1, 300), k=draw.randint(0, 4))) for name in names}
        assert parse_shapes([format_shapes(shapes)]) == shapes
