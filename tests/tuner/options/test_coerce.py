"""What the Python API takes: every option in the spellings of Python, and one line for anything else."""

import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tuner
from engines.artifacts.workspace import Workspace
from engines.core.values import Policy
from studies.core.options import Spelling
from tests.records import study_record
from tuner.api import OPTIONS
from tuner.options.coerce import SPELLINGS, option


class Anything:
    """Nothing that any option wants, with a representation of several lines."""

    def __repr__(self) -> str:
        return "any\nthing"


@pytest.fixture(autouse=True)
def empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)


def test_every_option_has_a_type_and_every_special_spelling_an_option() -> None:
    assert {mark.name for one in OPTIONS.values() if (mark := one.mark(Spelling))} == set(SPELLINGS)
    for name, one in OPTIONS.items():
        with pytest.raises(tuner.UserError, match=rf"^search\(\) wants {name} as .*, not any thing"):
            option("search", one, Anything())


@pytest.mark.parametrize("name", [name for name in OPTIONS if name != "model"])
def test_default_value_of_an_option_is_accepted(name: str) -> None:
    default = OPTIONS[name].default
    assert option("search", OPTIONS[name], default) == default
    if default is not None:
        with pytest.raises(tuner.UserError, match=rf"search\(\) wants {name} as .*, not None"):
            option("search", OPTIONS[name], None)


@pytest.mark.parametrize(
    ("name", "given", "kept"),
    [
        ("trials", np.int32(7), 7),
        ("timeout", np.float32(1.5), 1.5),
        ("timeout", 60, 60.0),
        ("timeout", "1h", 3600.0),
        ("min_gain", "1%", 0.01),
        ("racing", np.bool_(False), False),
        ("prior", 0, False),
        ("model", "net.onnx", Path("net.onnx")),
        ("storage", Path("a/b.db"), str(Path("a/b.db"))),
        ("plugins", "a.so", (Path("a.so"),)),
        ("plugins", ["a.so", Path("b.so")], (Path("a.so"), Path("b.so"))),
        ("constraints", "error<=0.1", ("error<=0.1",)),
        ("keep_fp32", {"Softmax"}, ("Softmax",)),
        ("constraints", iter(["error<=0.1", "p99_ms<=3"]), ("error<=0.1", "p99_ms<=3")),
        ("constraints", np.array(["error<=0.1"]), ("error<=0.1",)),
        ("precision", ["fp32", "int8"], "fp32,int8"),
        ("precision", "fp32,int8", "fp32,int8"),
        ("shapes", "x:8x64", ("x:8x64",)),
        ("shapes", {"x": (8, 64), "y": []}, ("x:8x64", "y:scalar")),
        ("min_shapes", {"x": np.array([8, 64])}, ("x:8x64",)),
        ("opt_shapes", {"x": "8x64"}, ("x:8x64",)),
        ("max_shapes", {"a:b": [np.int64(8)]}, ("'a:b':8",)),
        ("override_shapes", {}, ()),
        ("fix", "precision=fp32", ("precision=fp32",)),
        ("fix", {"precision": "fp32", "streams": [1, 2]}, ("precision=fp32", "streams=1,2")),
        ("fix", {"cuda_graph": False, "level": np.int64(3)}, ("cuda_graph=false", "level=3")),
        ("fix", {"cuda_graph": [True, np.bool_(False)]}, ("cuda_graph=true,false",)),
    ],
)
def test_python_types_are_accepted(name: str, given: Any, kept: Any) -> None:
    found = option("search", OPTIONS[name], given)
    assert found == kept
    assert type(found) is type(kept)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model": None}, "search() wants model as a path, not None"),
        ({"model": 5}, "search() wants model as a path, not 5"),
        ({"model": b"net.onnx"}, "search() wants model as a path, not b'net.onnx'"),
        ({"trials": "a"}, "search() wants trials as a whole number, not 'a'"),
        ({"trials": True}, "search() wants trials as a whole number, not True"),
        ({"timeout": True}, "search() wants timeout as a time, not True. Write 30m, 90s"),
        ({"timeout": 10**400}, "search() wants timeout as a time, not 1000000"),
        ({"racing": "no"}, "search() wants racing as True or False, not 'no'"),
        ({"progress": "no"}, "search() wants progress as True or False, not 'no'"),
        ({"precision": 32}, "search() wants precision as text or a list of texts, not 32"),
        ({"inputs": {"x": np.ones((9, 9))}}, "search() wants inputs as a path, not {'x': array([[1., 1"),
        ({"inputs": [1]}, "Save the data with numpy.savez, and give the file."),
        ({"metrics": [len]}, "search() wants metrics as text or a list of texts, not [<built-in "),
        ({"constraints": (1,)}, "search() wants constraints as text or a list of texts, not (1,)"),
        ({"constraints": {"error": 1}}, "search() wants constraints as text or a list of texts, not {"),
        ({"constraints": b"error<=1"}, "search() wants constraints as text or a list of texts, not b'"),
        ({"mode": 5}, "search() wants mode as text, not 5"),
        ({"policy": {}}, "search() wants policy as a Policy, not {}"),
        ({"plugins": [5]}, "search() wants plugins as a path or a list of paths, not [5]"),
        ({"shapes": 5}, "search() wants shapes as text, a list of texts or a dict, not 5"),
        ({"shapes": (8, 64)}, "search() wants shapes as text, a list of texts or a dict, not (8, 64)"),
        ({"shapes": {"x": 8}}, "not {'x': 8}. Write 'x:8x64' or {'x': (8, 64)}."),
        ({"shapes": {"x": (8.5,)}}, "not {'x': (8.5,)}."),
        ({"shapes": {"x": "y:8"}}, "not {'x': 'y:8'}."),
        ({"shapes": {"x": "8 by 8"}}, "cannot read the shape"),
        ({"shapes": {5: (8,)}}, "not {5: (8,)}."),
        ({"fix": {"precision": None}}, "search() wants fix as text, a list of texts or a dict, not {"),
        ({"fix": {"precision": [["fp32"]]}}, "search() wants fix as text, a list of texts or a dict"),
        ({"study": 5}, "search() wants study as text, not 5"),
        ({"storage": 5}, "search() wants storage as text, not 5"),
        ({"output": 5}, "search() wants output as a path, not 5"),
    ],
)
def test_wrong_type_is_refused_in_one_line(options: dict[str, Any], said: str) -> None:
    with pytest.raises(tuner.UserError) as mistake:
        tuner.search(**{"model": "net.onnx", "backend": "fake", **options})
    assert said in str(mistake.value)
    assert "\n" not in str(mistake.value)
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"workspace": None}, "load_study() wants workspace as a path, not None"),
        ({"study": 5}, "load_study() wants study as text, not 5"),
        ({"storage": 5}, "load_study() wants storage as text, not 5"),
    ],
)
def test_load_study_refuses_wrong_type_in_one_line(given: dict[str, Any], said: str) -> None:
    with pytest.raises(tuner.UserError) as mistake:
        tuner.load_study(**given)
    assert str(mistake.value) == said


@pytest.mark.parametrize(
    ("call", "given", "said"),
    [
        ("trial", ("a",), "trial() wants number as a whole number, not 'a'"),
        ("trial", (1.0,), "trial() wants number as a whole number, not 1.0"),
        ("trial", (None,), "trial() wants number as a whole number, not None"),
        ("export", (None,), "export() wants folder as a path, not None"),
        ("export", ("out", "best"), "export() wants trial as a whole number, not 'best'"),
        ("report", (None,), "report() wants path as a path, not None"),
    ],
)
def test_result_refuses_wrong_type_in_one_line(call: str, given: tuple[Any, ...], said: str) -> None:
    result = tuner.Result(study_record(1), Workspace(Path("w")))
    with pytest.raises(tuner.UserError) as mistake:
        getattr(result, call)(*given)
    assert str(mistake.value) == said


def test_a_trial_may_be_numbered_by_numpy() -> None:
    result = tuner.Result(study_record(2), Workspace(Path("w")))
    assert result.trial(np.int64(1)) is result.study.trials[1]  # type: ignore[arg-type]


def test_none_selects_the_default(model: Path) -> None:
    nothing: dict[str, Any] = dict.fromkeys(("constraints", "objectives", "plugins", "racing", "fix"))
    found = tuner.search(model, backend="fake", trials=2, prior=False, **nothing)
    assert len(found.trials) == 2


def test_a_search_takes_shapes_and_settings_by_name(model: Path) -> None:
    result = tuner.search(
        model,
        trials=np.int64(2),  # type: ignore[arg-type]
        backend="fake",
        shapes={"x": (2, 3, 12, 12)},
        fix={"precision": ["fp32"], "cuda_graph": False},
        self_test=0,
        finalists=0,
    )
    assert result.study.spec.workload.plan.batch == 2
    fixed = {one.name: one.choices for one in result.study.spec.space}
    assert (fixed["precision"], fixed["cuda_graph"]) == (("fp32",), (False,))


def test_a_policy_is_taken_as_it_is() -> None:
    policy = Policy(warmup_seconds=0.1)
    assert option("search", OPTIONS["policy"], policy) is policy


def test_what_load_takes_are_options_of_a_search() -> None:
    assert set(inspect.signature(tuner.load_study).parameters) <= set(OPTIONS)
