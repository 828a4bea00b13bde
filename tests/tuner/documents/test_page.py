"""docs/json.md: every document and every field is in it."""

import importlib.util
from collections.abc import Iterator
from types import ModuleType
from typing import get_type_hints

import msgspec
import pytest

from tests.paths import DOCS
from tuner.documents import commands, study
from tuner.documents.base import Document, Numbered


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    """The program that makes the page."""
    spec = importlib.util.spec_from_file_location("json_page", DOCS / "json_page.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def subclasses(of: type[Document]) -> Iterator[type[Document]]:
    for one in of.__subclasses__():
        yield one
        yield from subclasses(one)


def test_every_field_says_what_it_means() -> None:
    unsaid = [
        f"{document.__name__}.{name}"
        for document in subclasses(Document)
        if document.__module__.startswith("tuner.")
        for name, of in get_type_hints(document, include_extras=True).items()
        if not any(isinstance(note, msgspec.Meta) and note.description for note in of.__metadata__)
    ]
    assert unsaid == []


def test_every_whole_document_has_a_section(maker: ModuleType) -> None:
    described = {section.document for section in maker.DOCUMENTS}
    whole = {one for one in subclasses(Numbered) if one.__module__.startswith("tuner.")}
    assert whole - described == {study.StudyHeader}
    assert {study.OneTrial, commands.SearchPlan} <= described


def test_new_field_is_on_the_page_with_its_type_and_meaning(maker: ModuleType) -> None:
    rows = {path: (value, meaning) for path, value, meaning in maker._rows(study.Study)}
    assert rows["created_at"] == ("time", "when it began")
    assert rows["model.operators.NAME"][0] == "number"
    assert rows["priors[].similarity"][0] == "number"
    assert rows["baseline"][0] == "number or null"
    assert rows["finals"][0] == "object or null"
    assert rows["speedup"][0] == "[an estimate](#an-estimate) or null"
    assert rows["trials"][0] == "list, each [a trial](#a-trial)"
    assert "trials[].number" not in rows
