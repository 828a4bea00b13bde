"""What tuner.search says of itself: its arguments are the options of the command, with types and text."""

import inspect
import re
from dataclasses import MISSING
from pathlib import Path
from typing import Never, get_type_hints

import pytest

import tuner
from tuner.api import OPTIONS
from tuner.options.coerce import kind_of

OWN = ("progress", "unknown")


def test_its_arguments_are_the_options_with_their_defaults() -> None:
    arguments = inspect.signature(tuner.search).parameters
    assert set(arguments) - set(OWN) == set(OPTIONS)
    for name, one in OPTIONS.items():
        default = arguments[name].default
        if one.default is MISSING:
            assert default is inspect.Parameter.empty
        else:
            assert (Path(default) if isinstance(one.default, Path) else default) == one.default, name


@pytest.mark.parametrize("name", OPTIONS)
def test_an_argument_is_annotated_with_all_that_its_option_takes(name: str) -> None:
    accepts = kind_of(OPTIONS[name]).accepts
    expected = accepts | None if OPTIONS[name].default is None else accepts
    assert get_type_hints(tuner.search)[name] == expected


@pytest.mark.parametrize("name", ["study", "workspace", "storage"])
def test_load_study_annotates_and_defaults_as_search_does(name: str) -> None:
    assert get_type_hints(tuner.load_study)[name] == get_type_hints(tuner.search)[name]
    defaults = [inspect.signature(call).parameters[name].default for call in (tuner.load_study, tuner.search)]
    assert defaults[0] == defaults[1]


def test_unknown_option_is_refused_by_type_checkers_and_at_run_time() -> None:
    assert get_type_hints(tuner.search)["unknown"] is Never
    with pytest.raises(tuner.UserError, match=r"no option 'trails'. Did you mean trials\?"):
        # mypy reports an ignored error that is none
        tuner.search("m.onnx", trails=3)  # type: ignore[arg-type]


def test_a_value_of_a_wrong_type_is_refused_by_type_checkers_too() -> None:
    with pytest.raises(tuner.UserError, match="wants trials as a whole number"):
        tuner.search("m.onnx", trials="many")  # type: ignore[arg-type]


def test_its_docstring_has_every_option_with_its_unit_and_default() -> None:
    said = inspect.getdoc(tuner.search) or ""
    listed = dict(
        re.findall(r"^    (\w+): (.*(?:\n        .*)*)", said.partition("Options:\n")[2], re.MULTILINE)
    )
    assert list(listed) == [name for name in OPTIONS if name != "model"]
    one_line = {name: " ".join(text.split()) for name, text in listed.items()}
    for name, one in OPTIONS.items():
        if name != "model":
            assert one_line[name].startswith(one.help.text)
            assert (one.help.default in one_line[name]) or not one.help.default
    assert "Seconds, or text such as '30m'." in one_line["timeout"]
    assert "A share such as 0.01, or text such as '1%'. Default: 1%." in one_line["min_gain"]
    assert one_line["finalists"].endswith("Default: 4.")


def test_everything_for_users_is_listed_and_loaded_from_the_package() -> None:
    assert dir(tuner) == sorted(tuner.__all__)
    assert {"Dimension", "EngineSampler", "Policy", "Result", "UserError", "load_study", "search"} <= set(
        dir(tuner)
    )
    assert not hasattr(tuner, "load")


def test_docs_and_examples_import_from_the_package_alone() -> None:
    root = Path(__file__).parents[2]
    pages = [root / "README.md", *(root / "docs").glob("*.md"), *(root / "examples").glob("*.py")]
    inner = re.compile(r"^\s*(?:from|import) (?:engines|studies|dashboards|tuner\.)", re.MULTILINE)
    assert [page.name for page in pages if inner.search(page.read_text(encoding="utf-8"))] == []
