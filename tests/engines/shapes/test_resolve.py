import itertools

import pytest

from engines.core.errors import UserError
from engines.core.values import ModelFacts, Shape, ShapeRange, TensorFacts
from engines.shapes.resolve import batch_of, describe_inputs, resolve, with_batch
from tests.workloads import file_at

Dims = tuple[int | str | None, ...]


def _model(**inputs: Dims) -> ModelFacts:
    facts = tuple(TensorFacts(name, "float32", shape) for name, shape in inputs.items())
    return ModelFacts(file_at("m.onnx", "0"), facts, (), 17, {}, 0, 0)


IMAGES = _model(x=("batch", 3, 32, 32))
TEXT = _model(ids=("batch", "sequence"), mask=("batch", "sequence"))


def _fixed(shape: Shape) -> ShapeRange:
    return ShapeRange(shape, shape, shape)


def test_shapes_set_all_three_bounds() -> None:
    assert resolve(IMAGES, {"x": (8, 3, 32, 32)}) == ({"x": _fixed((8, 3, 32, 32))}, ())


def test_a_shape_without_a_name_is_that_of_the_only_input() -> None:
    assert resolve(IMAGES, {"": (8, 3, 32, 32)})[0] == {"x": _fixed((8, 3, 32, 32))}


def test_an_optimum_alone_is_the_minimum_and_maximum_too() -> None:
    assert resolve(IMAGES, optimum={"x": (4, 3, 32, 32)}) == ({"x": _fixed((4, 3, 32, 32))}, ())


def test_three_bounds_make_a_range() -> None:
    low, middle, high = ((size, 3, 32, 32) for size in (1, 4, 16))
    ranges, notes = resolve(IMAGES, {}, {"x": low}, {"x": middle}, {"x": high})
    assert ranges == {"x": ShapeRange(low, middle, high)}
    assert notes == ()


def test_a_bound_given_by_itself_goes_before_the_shapes() -> None:
    ranges, _ = resolve(IMAGES, {"x": (4, 3, 32, 32)}, minimum={"x": (1, 3, 32, 32)})
    assert ranges["x"] == ShapeRange((1, 3, 32, 32), (4, 3, 32, 32), (4, 3, 32, 32))


def test_without_an_optimum_the_maximum_is_used_and_said() -> None:
    ranges, notes = resolve(IMAGES, minimum={"x": (1, 3, 32, 32)}, maximum={"x": (8, 3, 32, 32)})
    assert ranges["x"] == ShapeRange((1, 3, 32, 32), (8, 3, 32, 32), (8, 3, 32, 32))
    assert notes == (
        "input 'x': no optimum was given: 8x3x32x32 is used (--opt-shapes x:8x3x32x32 to change)",
    )


def test_missing_dynamic_dimensions_are_one_and_reported() -> None:
    ranges, notes = resolve(IMAGES)
    assert ranges == {"x": _fixed((1, 3, 32, 32))}
    assert notes == (
        "input 'x': dimension 'batch' is dynamic and was not given: 1 is used "
        "(--shapes x:8x3x32x32 to change)",
    )


def test_a_note_names_every_dimension_filled_in() -> None:
    _, notes = resolve(_model(x=(None, "length")))
    assert notes == (
        "input 'x': dimension 0 and dimension 'length' are dynamic and were not given: 1 is used "
        "(--shapes x:8x32 to change)",
    )


def test_a_dimension_given_in_one_input_holds_for_the_others_of_its_name() -> None:
    ranges, notes = resolve(
        TEXT, minimum={"ids": (1, 8)}, optimum={"ids": (4, 64)}, maximum={"ids": (8, 128)}
    )
    assert ranges["mask"] == ranges["ids"] == ShapeRange((1, 8), (4, 64), (8, 128))
    assert notes == ()


def test_fixed_inputs_and_scalars_need_nothing() -> None:
    assert resolve(_model(x=(1, 4), threshold=())) == ({"x": _fixed((1, 4)), "threshold": _fixed(())}, ())


@pytest.mark.parametrize(
    ("model", "shapes", "message", "hint"),
    [
        (IMAGES, {"y": (1,)}, "the model has no input 'y'", "Its inputs: x:batchx3x32x32."),
        (TEXT, {"idz": (1, 1)}, "the model has no input 'idz'", "Did you mean 'ids'?"),
        (TEXT, {"": (1, 1)}, "the shape 1x1 names no input, and the model has 2", "Write NAME:1x1."),
        (IMAGES, {"": (1, 3, 32, 32), "x": (1, 3, 32, 32)}, "the input 'x' is given twice", "one shape"),
        (IMAGES, {"x": (1, 3)}, "has 4 dimensions, not 2 as in 1x3", "The model says x:batchx3x32x32."),
        (IMAGES, {"x": (1, 4, 32, 32)}, "dimension 1 of the input 'x' is fixed to 3, not 4", "x:batch"),
        (TEXT, {"ids": (8, 1), "mask": (4, 1)}, "'batch' is 8 in 'ids' and 4 in 'mask'", "same size"),
        (_model(x=("n", "n")), {"x": (2, 3)}, "'n' is 2 in 'x' and 3 in 'x'", "same size"),
    ],
)
def test_shapes_that_the_model_cannot_take_are_refused(
    model: ModelFacts, shapes: dict[str, Shape], message: str, hint: str
) -> None:
    with pytest.raises(UserError) as caught:
        resolve(model, shapes)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_every_bound_is_checked_against_the_model() -> None:
    for bound in ("minimum", "optimum", "maximum"):
        with pytest.raises(UserError, match="not 2 as in 1x3"):
            resolve(IMAGES, **{bound: {"x": (1, 3)}})


def test_a_minimum_that_two_inputs_disagree_on_is_refused() -> None:
    optimum = {"ids": (4, 4), "mask": (4, 4)}
    with pytest.raises(UserError, match="'batch' is 1 in 'ids' and 2 in 'mask'"):
        resolve(TEXT, minimum={"ids": (1, 4), "mask": (2, 4)}, optimum=optimum)


def test_bounds_out_of_order_are_refused_and_only_those() -> None:
    model = _model(x=("n", 2))
    for low, middle, high in itertools.product((1, 2, 3), repeat=3):
        bounds = [{"x": (size, 2)} for size in (low, middle, high)]
        if low <= middle <= high:
            assert resolve(model, {}, *bounds)[0]["x"].optimum == (middle, 2)
            continue
        wrong = f"minimum {low} of" if low > middle else f"optimum {middle} of"
        with pytest.raises(UserError, match=wrong):
            resolve(model, {}, *bounds)


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({"x": ("batch", 3), "y": ("batch",)}, (4, ("x", "y"))),
        ({"x": (None, 3), "y": (None, 7)}, (4, ("x", "y"))),
        ({"x": ("batch", 3), "boxes": ("boxes", 4), "scale": ()}, (4, ("x",))),
        ({"scale": (), "x": ("batch", 3)}, (4, ("x",))),
        ({"x": ("batch", 3), "fixed": (2, 3)}, (4, ("x",))),
        ({"x": (2, 3), "y": (2, 5)}, (2, ())),
        ({"x": (2, 3), "y": (3, 5)}, (1, ())),
        ({"scale": ()}, (1, ())),
        ({"x": ("batch", 3), "state": (2, "batch", 3)}, (4, ())),
        ({"x": ("length", "batch_size", 3)}, (4, ())),
    ],
)
def test_the_batch_is_the_first_dimension_that_inputs_share(
    inputs: dict[str, Dims], expected: tuple[int, tuple[str, ...]]
) -> None:
    model = _model(**inputs)
    shapes = {
        facts.name: tuple(dim if isinstance(dim, int) else 4 for dim in facts.shape) for facts in model.inputs
    }
    assert batch_of(model, resolve(model, shapes)[0]) == expected


def test_unnamed_first_dimension_of_another_size_is_not_a_batch() -> None:
    model = _model(x=(None, 3), rows=(None, 3))
    assert batch_of(model, resolve(model, {"x": (4, 3), "rows": (9, 3)})[0]) == (4, ("x",))


def test_another_batch_changes_the_batched_inputs_alone() -> None:
    shapes = {
        "x": ShapeRange((1, 3), (4, 3), (8, 3)),
        "table": _fixed((4, 3)),
    }
    assert with_batch(shapes, ("x",), 16) == {"x": (16, 3), "table": (4, 3)}


def test_inputs_are_described_by_their_shapes() -> None:
    assert describe_inputs(_model(x=("batch", None), s=())) == "x:batchx?,s:scalar"
