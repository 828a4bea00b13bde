from pathlib import Path

import pytest

from engines.core.errors import UserError
from studies.core.records import StudySpec
from studies.storage.database import parse_url
from studies.storage.storage import open_storage

IGNORED = "that would be ignored"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sqlite:///x.db?mode=ro", f"the storage URL has an option 'mode' {IGNORED}"),
        ("sqlite:///x.db?speed=1&timeout=3", f"the storage URL has an option 'speed' {IGNORED}"),
        ("sqlite:///file:x.db?mod=ro&uri=true", f"the storage URL has an option 'mod' {IGNORED}"),
        ("sqlite:///file:x.db?mode=rx&uri=true", "the storage URL cannot have mode=rx"),
        (
            "sqlite:///x.db?isolation_level=DEFERRED",
            "the option 'isolation_level' of a storage URL cannot be chosen",
        ),
        ("sqlite:///x.db?timeout=soon", "the storage URL cannot have timeout=soon"),
        ("sqlite:///x.db?timeout=-1", "the storage URL cannot have timeout=-1"),
        ("sqlite:///x.db?timeout=inf", "the storage URL cannot have timeout=inf"),
        ("sqlite:///x.db?timeout=1&timeout=2", "the storage URL cannot have timeout=('1', '2')"),
        ("sqlite:///x.db?uri=perhaps", "uri= in the storage URL is neither true nor false"),
        ("sqlite:///x.db?mode=ro&uri=true", "a SQLite path with file: needs uri=true, and uri=true needs"),
        ("sqlite:///file:x.db?mode=ro", "a SQLite path with file: needs uri=true, and uri=true needs"),
        ("file:x.db", "a SQLite path with file: needs uri=true, and uri=true needs file:"),
        ("sqlite:///file::memory:?uri=true", "a storage in memory would be lost"),
    ],
)
def test_an_option_that_nobody_would_heed_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as refused:
        open_storage(name)
    assert refused.value.message.startswith(said)
    assert refused.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", ["", "?timeout=0.5", "?uri=false"])
def test_an_option_that_is_heeded_is_kept(tmp_path: Path, options: str) -> None:
    open_storage(f"sqlite:///{tmp_path}/x.db{options}").close()
    assert (tmp_path / "x.db").is_file()


def test_a_read_only_file_is_read_and_not_written(tmp_path: Path, study_spec: StudySpec) -> None:
    path = tmp_path / "x.db"
    open_storage(str(path)).close()
    before = path.read_bytes()
    for options in ("mode=ro&uri=true", "mode=ro&immutable=1&uri=true&timeout=1"):
        name = f"sqlite:///file:{path}?{options}"
        assert parse_url(name).database == f"file:{path}"
        with open_storage(name) as storage:
            assert storage.study_names() == ()
            with pytest.raises(UserError, match="is read-only"):
                storage.create_study("s", study_spec, {})
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "options",
    ["x.db?check_same_thread=false&cached_statements=9", "file:x.db?cache=private&psow=1&uri=true"],
)
def test_options_that_are_heeded_are_taken(
    options: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with open_storage(f"sqlite:///{options}") as storage:
        assert storage.study_names() == ()
    assert (tmp_path / "x.db").exists()
