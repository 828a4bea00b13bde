"""What a search knows of earlier ones: recorded, told, and turned off."""

import json
from pathlib import Path
from typing import Any

import pytest

import tuner
from studies.core.records import Prior
from studies.run.loop import StudyLoop
from studies.search.observations import Earlier
from studies.storage.storage import open_storage
from tests.command import Command
from tests.workloads import tiny_conv

BACKEND = "fake:trial_seconds=0"
ARGUMENTS = ("--study", "net", "--backend", BACKEND, "--self-test", 0, "--workspace", "w")


@pytest.fixture
def searched_before(model: Path) -> None:
    """A study of a model like the one that is searched, at another size of its input."""
    other = tiny_conv(model.parent, "other.onnx")
    found = tuner.search(
        other, shapes="x:4x3x12x12", trials=4, backend=BACKEND, self_test=0, workspace=model.parent / "w"
    )
    assert found.study.priors == ()


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Earlier, ...]]:
    """What each search in turn was given."""
    found: list[tuple[Earlier, ...]] = []
    run = StudyLoop.run

    def spied(loop: StudyLoop, *arguments: Any) -> Any:
        found.append(loop.earlier)
        return run(loop, *arguments)

    monkeypatch.setattr(StudyLoop, "run", spied)
    return found


def recorded() -> tuple[Prior, ...]:
    with open_storage("w/studies.db") as storage:
        return storage.read_study("net").priors


@pytest.mark.usefixtures("searched_before")
def test_the_second_search_is_given_the_first_records_it_and_says_so(
    command: Command, model: Path, given: list[tuple[Earlier, ...]]
) -> None:
    ended = command("search", model, "--trials", 2, *ARGUMENTS)
    (prior,) = recorded()
    assert (prior.study, prior.observations) == ("other", 4)
    assert 0.5 < prior.similarity < 1
    said = f"other (similarity {prior.similarity:.2f}, 4 trials)"
    assert f"note: begins with what 1 earlier study on this machine showed: {said}; --no-prior" in ended.err
    assert f"Begun with what was known of {said}." in command("show", "net", "--workspace", "w").out
    assert said in Path("w/reports/net/report.html").read_text(encoding="utf-8")
    evidence = json.loads(Path("w/reports/net/engine/evidence.json").read_text(encoding="utf-8"))
    assert evidence["priors"] == [{"study": "other", "similarity": prior.similarity, "observations": 4}]

    # going on keeps to it, whatever else was found meanwhile
    tuner.search(model, study="third", seed=1, trials=4, backend=BACKEND, self_test=0, workspace="w")
    ended = command("search", model, "--trials", 3, *ARGUMENTS)
    assert "note: goes on with what 1 earlier study on this machine showed: other (" in ended.err
    assert recorded() == (prior,)
    assert [one.name for one in given[-1]] == ["other"]
    assert given[-1] == given[0]
    assert given[0][0].similarity == prior.similarity


@pytest.mark.usefixtures("searched_before")
def test_no_prior_begins_with_nothing(
    command: Command, model: Path, given: list[tuple[Earlier, ...]]
) -> None:
    ended = command("search", model, "--trials", 2, "--no-prior", *ARGUMENTS)
    assert "earlier study" not in ended.err
    assert "Begun with" not in command("show", "net", "--workspace", "w").out
    # nor does it learn of them when it goes on
    ended = command("search", model, "--trials", 3, *ARGUMENTS)
    assert "earlier study" not in ended.err
    assert recorded() == ()
    assert given == [(), ()]
