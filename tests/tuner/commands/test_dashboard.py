"""`tuner dashboard`; what is in the page is tested with the dashboards."""

import webbrowser
from pathlib import Path

import pytest

from tests.command import Command


def test_the_report_is_written_and_its_path_printed(command: Command, searched: Path, tmp_path: Path) -> None:
    ended = command("dashboard", "net", "--workspace", searched, "--output", "deep/report.html")
    assert (ended.code, ended.out, ended.err) == (0, "deep/report.html\n", "")
    page = (tmp_path / "deep/report.html").read_text()
    assert page.lstrip().lower().startswith("<!doctype html>")
    assert "net" in page


def test_without_output_it_lies_in_the_workspace(command: Command, model: Path, tmp_path: Path) -> None:
    command("search", model, "--backend", "fake", "--trials", 1, "--output", "out")
    ended = command("dashboard")
    assert ended.out == ".tuner/reports/tiny/report.html\n"
    assert (tmp_path / ".tuner/reports/tiny/report.html").is_file()


@pytest.mark.parametrize("found", [True, False])
def test_open_opens_the_page_or_says_that_there_is_no_browser(
    command: Command, searched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: bool
) -> None:
    opened = []

    def browse(address: str) -> bool:
        opened.append(address)
        return found

    monkeypatch.setattr(webbrowser, "open", browse)
    ended = command("dashboard", "--workspace", searched, "--output", "r.html", "--open")
    assert ended.code == 0
    assert opened == [(tmp_path / "r.html").as_uri()]
    assert ("no browser was found" in ended.err) is not found
