"""The command itself: help, exit codes, and streams that are closed, full, unread or without Unicode."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

import tuner as package
from engines.backends.registry import BACKENDS
from engines.core.errors import Interrupted, TunerError, UserError
from studies.core.metrics import METRICS
from tests.command import Command, environment, start
from tuner.cli import COMMANDS, LazyGroup, tuner
from tuner.terminal import streams

# help and version


@pytest.mark.parametrize("arguments", [["--help"], ["-h"]])
def test_help_lists_every_command_with_its_description(command: Command, arguments: list[str]) -> None:
    ended = command(*arguments)
    assert (ended.code, ended.err) == (0, "")
    assert "\\b" not in ended.out
    assert "tuner search model.onnx --trials 50" in ended.out
    for name, (_, about) in COMMANDS.items():
        assert name in ended.out
        assert about.split()[0] in ended.out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_for_itself_and_each_of_its_options(command: Command, name: str) -> None:
    ended = command(name, "--help")
    assert (ended.code, ended.err) == (0, "")
    assert "\\b" not in ended.out
    subcommand = tuner.get_command(click.Context(tuner), name)
    assert subcommand is not None
    for parameter in subcommand.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.opts
            assert parameter.help.endswith((".", "]", "..."))


def test_command_list_matches_help_of_each_command() -> None:
    for name, (_, about) in COMMANDS.items():
        subcommand = tuner.get_command(click.Context(tuner), name)
        assert subcommand is not None
        assert about.split()[0] == (subcommand.help or "").split()[0]


def test_the_help_of_search_names_every_backend_and_the_exit_codes(command: Command) -> None:
    text = " ".join(command("search", "--help").out.split())
    for name in BACKENDS:
        assert name in text
    assert "0 found, 1 internal error, 2 wrong use, 3 nothing feasible, 130 interrupted" in text
    assert "latency_ms" in METRICS


def test_version(command: Command) -> None:
    assert command("--version").out == f"tuner {package.__version__}\n"


def test_no_command_shows_help_with_exit_code_2(command: Command) -> None:
    ended = command()
    assert ended.code == 2
    assert ended.err.startswith("Usage: tuner ")
    assert "error:" not in ended.err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_the_shell(command: Command, shell: str) -> None:
    ended = command("completion", shell)
    assert ended.code == 0
    assert "_TUNER_COMPLETE" in ended.out


@pytest.mark.parametrize(
    ("typed", "offered"),
    [("tuner se", "search"), ("tuner search --tri", "--trials"), ("tuner completion f", "fish")],
)
def test_completion_offers_commands_options_and_choices(tmp_path: Path, typed: str, offered: str) -> None:
    asked = {
        "_TUNER_COMPLETE": "bash_complete",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(typed.split()) - 1),
    }
    run = start(cwd=tmp_path, **asked)
    assert offered in run.communicate(timeout=30)[0]


# what goes wrong


@pytest.mark.parametrize(
    ("raised", "code", "line"),
    [
        (UserError("it is so", "Do this."), 2, "error: it is so. Do this."),
        (UserError("it is so."), 2, "error: it is so"),
        (UserError("many\n  lines", "One\nhint."), 2, "error: many lines. One hint."),
        (Interrupted("interrupted", "All is saved."), 130, "error: interrupted. All is saved."),
        (KeyboardInterrupt(), 130, "error: interrupted"),
        (TunerError("our mistake"), 1, "error: our mistake"),
        (click.UsageError("Bad thing."), 2, "error: bad thing. See 'tuner --help'."),
        (
            PermissionError(13, "Permission denied", "x.db"),
            2,
            "error: cannot use 'x.db': Permission denied. ",
        ),
        (OSError(28, "No space left on device"), 2, "error: cannot write: No space left on device. "),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else "",
)
def test_error_is_one_line_with_exit_code(
    command: Command, monkeypatch: pytest.MonkeyPatch, raised: BaseException, code: int, line: str
) -> None:
    _fail_with(monkeypatch, raised)
    ended = command("studies")
    assert ended.code == code
    assert ended.err.startswith(line)
    assert ended.err.count("\n") == 1


def test_internal_error_shows_traceback(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    _fail_with(monkeypatch, ZeroDivisionError("ours"))
    with pytest.raises(ZeroDivisionError):
        command("studies")


def test_an_internal_error_has_exit_code_1(tmp_path: Path) -> None:
    program = "from tuner import cli; cli._invoke = lambda _: 1 / 0; cli.main(['studies'])"
    ran = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, check=False)
    assert ran.returncode == 1
    assert b"ZeroDivisionError" in ran.stderr


def _fail_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(*_: object) -> click.Command:
        raise error

    monkeypatch.setattr(LazyGroup, "get_command", fail)


def test_colour_is_off_when_unwanted(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b" not in command("studies").err
    monkeypatch.setattr(streams, "has_color", lambda: True)
    assert command("studies").err.startswith("\x1b[31m\x1b[1merror:\x1b[0m there are no studies")


# streams


def _shell(script: str, workspace: Path, **variables: str | None) -> "subprocess.CompletedProcess[str]":
    """A line of bash in which $T is the command, and $W a workspace."""
    given = {"T": f"{sys.executable} -m tuner", "W": str(workspace), **variables}
    return subprocess.run(
        ["bash", "-c", script],
        cwd=workspace.parent,
        env=environment(given),
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )


@pytest.mark.parametrize(
    ("what", "reader"),
    [("show --workspace $W", "true"), ("show --csv --workspace $W", "head -n 1"), ("--help", "true")],
)
def test_closed_pipe_is_not_an_error(searched: Path, what: str, reader: str) -> None:
    ran = _shell(f"$T {what} | {reader}; echo ${{PIPESTATUS[0]}} >&2", searched)
    assert ran.stderr == "0\n"


def test_search_continues_when_stderr_is_closed(model: Path) -> None:
    search = f"$T search {model} --backend fake --trials 5 --self-test 0 --finalists 0 --json"
    ran = _shell(f"{search} 2>&1 >out.json | true; echo ${{PIPESTATUS[0]}}", model.parent / "w")
    assert ran.stdout == "0\n"
    assert '"new_trials": 5' in (model.parent / "out.json").read_text()


def test_search_keeps_exit_code_when_stdout_is_closed(model: Path) -> None:
    script = (
        f"$T search {model} --backend fake --trials 2 -q --constraint 'latency_ms<=0.001' | true;"
        " echo ${PIPESTATUS[0]}"
    )
    assert _shell(script, model.parent / "w").stdout == "3\n"


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_not_an_error(searched: Path, closed: str) -> None:
    ran = _shell(f"$T show --workspace $W {closed}; echo code $? > code", searched)
    assert (searched.parent / "code").read_text() == "code 0\n"
    assert "trial" not in ran.stderr, "results went where errors go"


def test_output_to_a_full_disk_is_an_error(searched: Path) -> None:
    ran = _shell("$T show --workspace $W > /dev/full; echo $?", searched)
    assert ran.stdout == "2\n"
    assert ran.stderr.startswith("error: cannot write: No space left on device. ")
    assert ran.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "variables",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=lambda variables: next(iter(variables)),
)
def test_ascii_terminal_gets_replacement_characters(searched: Path, variables: dict[str, str | None]) -> None:
    ran = _shell("$T show --workspace $W", searched, **variables)
    assert ran.returncode == 0
    assert ran.stderr == ""
    assert "latency_ms" in ran.stdout
    assert " +- " in ran.stdout
    assert "x faster than the baseline" in ran.stdout


def test_empty_environment_works(searched: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "tuner", "show", "--workspace", searched],
        env={},
        capture_output=True,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, b"")


def test_results_in_a_pipe_are_whole_lines_without_trailing_space(command: Command, searched: Path) -> None:
    shown = command("show", "--workspace", searched).out.splitlines()
    assert all(line == line.rstrip() for line in shown)
    assert all("…" not in line for line in shown)
    assert os.environ.get("COLUMNS") is None
