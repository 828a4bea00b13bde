"""The inputs and the shapes of a search."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from examples import models
from tests.command import Command

FAKE = ("--backend", "fake")


def test_missing_dynamic_dimensions_are_1_with_a_note(command: Command, model: Path) -> None:
    ended = command("search", model, *FAKE, "--trials", 1)
    assert "note: input 'x': dimension 'batch' is dynamic and was not given: 1 is used" in ended.err
    given = command("search", model, *FAKE, "--trials", 1, "--shapes", "x:2x3x12x12")
    assert "note:" not in given.err


@pytest.mark.parametrize(
    "options",
    [
        ["--shapes", "x:4x3x12x12"],
        ["--shapes", "x:[4,3,12,12]"],
        ["--shapes", "4x3x12x12"],
        ["--optShapes", "x:4x3x12x12"],
        ["--opt-shapes", "x:4x3x12x12", "--min-shapes", "x:1x3x12x12", "--maxShapes", "x:8x3x12x12"],
    ],
    ids=" ".join,
)
def test_shapes_in_every_spelling(command: Command, model: Path, options: Sequence[str]) -> None:
    document = command("search", model, *FAKE, "--trials", 1, "--json", *options).document
    assert document["shapes"]["x"]["optimum"] == [4, 3, 12, 12]


def test_inputs_of_several_samples_for_a_dynamic_batch(command: Command, model: Path) -> None:
    np.savez("data.npz", x=np.random.default_rng(0).normal(size=(10, 3, 12, 12)).astype(np.float32))
    options = ["--inputs", "data.npz", "--shapes", "x:4x3x12x12", "--trials", 2, "--json"]
    document = command("search", model, *FAKE, *options).document
    assert document["inputs"]["path"] == "data.npz"
    assert document["trials"][0]["accuracy"]["samples"] == 12, "three batches of four, the last filled up"


def test_inputs_of_several_types(command: Command, tmp_path: Path) -> None:
    model = models.save("mixed_types", tmp_path)
    np.savez(
        "data.npz",
        features=np.zeros((3, 16), np.float32),
        categories=np.zeros((3, 4), np.int32),
        gate=np.ones((3, 16), np.bool_),
    )
    assert command("search", model, *FAKE, "--trials", 1, "--inputs", "data.npz").code == 0
