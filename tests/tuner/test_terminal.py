"""What a person at a terminal sees, in a real pseudo-terminal."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.command import environment, without_finals

Variables = Mapping[str, str | None]
NO_VARIABLES: Variables = {}

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
# Ctrl-C reaches whom the terminal controls
PROGRAM = """
import fcntl, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from tuner.cli import main
main()
"""
# what rich erases before it draws the display anew
REDRAWN = re.compile(r"(?:\x1b\[1A\x1b\[2K|\r\x1b\[2K)+")


@dataclass(frozen=True)
class Seen:
    """What came on the screen."""

    code: int
    text: str

    @property
    def frames(self) -> list[str]:
        return [ESCAPES.sub("", frame).replace("\r", "") for frame in REDRAWN.split(self.text)]


def watch(
    *arguments: object,
    cwd: Path,
    columns: int = 100,
    interrupt_at: str = "",
    variables: Variables = NO_VARIABLES,
) -> Seen:
    """Runs the command in a terminal, with Ctrl-C typed when a text is seen."""
    screen, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *without_finals([str(argument) for argument in arguments])],
        cwd=cwd,
        env=environment({"TERM": "xterm-256color", **variables}),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    seen = _read(screen, interrupt_at)
    os.close(screen)
    return Seen(process.wait(60), seen)


def _read(screen: int, interrupt_at: str) -> str:
    """All that comes, until nothing has come for long."""
    seen = b""
    while True:
        ready, _, _ = select.select([screen], [], [], 60)
        try:
            new = os.read(screen, 65536) if ready else b""
        except OSError:  # nobody has the other end open any more
            new = b""
        if not new:
            return seen.decode(errors="replace")
        seen += new
        if interrupt_at and interrupt_at in ESCAPES.sub("", seen.decode(errors="replace")):
            os.write(screen, b"\x03")
            interrupt_at = ""


def _some_frame_has(seen: Seen, parts: Sequence[str]) -> bool:
    return any(all(part in frame for part in parts) for frame in seen.frames)


@pytest.fixture(scope="module")
def search(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    from tests.workloads import tiny_conv

    folder = tmp_path_factory.mktemp("terminal")
    # long enough for the display to count the seconds, however busy the machine is
    backend = "fake:trial_seconds=4,fault_rate=0.8,faults=refuse+nan"
    search = ("search", tiny_conv(folder), "--backend", backend, "--trials", 7, "--self-test", 0)
    return watch(*search, cwd=folder)


def test_the_display_tells_the_trial_what_is_happening_and_for_how_long(search: Seen) -> None:
    assert search.code == 0
    for doing in ("building the engine", "loading the engine"):
        assert any(re.search(rf"trial \d+: {doing}  \d s", frame) for frame in search.frames), doing
    assert _some_frame_has(search, ["precision=", "profile=", "batch="])


def test_the_display_tells_the_best_so_far_against_the_baseline(search: Seen) -> None:
    assert _some_frame_has(search, ["best ", "(the baseline)"])
    assert _some_frame_has(search, ["best ", "faster than the baseline so far"])


def test_the_display_counts_trials_and_failures_and_the_time_passed_and_left(search: Seen) -> None:
    counts = r"\d of 7 trials, [1-9] failed, \d infeasible, \d+ s passed, about \d+ s left"
    assert any(re.search(counts, frame) for frame in search.frames)


def test_a_failure_stays_on_the_screen(search: Seen) -> None:
    assert re.search(r"trial \d: failed at build \(the imaginary builder found no impl", search.text)


def test_display_is_there_before_the_first_trial(search: Seen) -> None:
    assert _some_frame_has(search, ["starting"])


def test_display_counts_the_seconds_while_nothing_else_happens(search: Seen) -> None:
    counted = [set(re.findall(rf"trial {trial}: \w+ the engine  (\d) s", search.text)) for trial in range(7)]
    assert any(len(seconds) > 1 for seconds in counted)


def test_at_the_end_the_display_is_gone_and_the_result_stands(search: Seen) -> None:
    last = search.frames[-1]
    assert "Next    tuner show tiny" in last
    assert "trials, " not in last
    assert last.lstrip("\n").startswith(" ")
    assert "\x1b[?25h" in search.text, "the cursor is shown again"


def test_ctrl_c_says_that_the_trial_in_flight_is_finished(model: Path, tmp_path: Path) -> None:
    # another run of the baseline's engine would not be built
    another = ("--fix", "cuda_graph=false")
    search = ("search", model, "--backend", "fake:trial_seconds=3", "--trials", 5, "--self-test", 0)
    seen = watch(*search, *another, cwd=tmp_path, interrupt_at="trial 1: building")
    assert seen.code == 130
    assert _some_frame_has(seen, ["trial 1: ", "finishing what is in flight; Ctrl-C again stops at once"])
    assert "Interrupted: everything finished is saved" in seen.frames[-1]
    assert "\x1b[?25h" in seen.text


def test_a_narrow_terminal_cuts_the_display_and_nothing_of_the_result(model: Path, tmp_path: Path) -> None:
    search = ("search", model, "--backend", "fake", "--trials", 9, "--self-test", 0, "--finalists", 1)
    seen = watch(*search, cwd=tmp_path, columns=20)
    assert seen.code == 0
    table = seen.frames[-1]
    assert "against the winner" in table
    assert "against the baseline" in table
    assert "…" not in table


@pytest.mark.parametrize("variables", [{"TERM": "dumb"}, {"TERM": None}])
def test_a_terminal_that_cannot_redraw_gets_lines(model: Path, tmp_path: Path, variables: Variables) -> None:
    seen = watch("search", model, "--backend", "fake", "--trials", 2, cwd=tmp_path, variables=variables)
    assert seen.code == 0
    assert "\x1b" not in seen.text
    assert "trial 1: " in seen.text


def test_no_color_has_none(model: Path, tmp_path: Path) -> None:
    seen = watch(
        "search", model, "--backend", "fake", "--trials", 2, cwd=tmp_path, variables={"NO_COLOR": "1"}
    )
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", seen.text)
    assert watch("show", cwd=model.parent / ".tuner").text.startswith("\x1b[31m")


def test_a_terminal_without_unicode(model: Path, tmp_path: Path) -> None:
    search = ("search", model, "--backend", "fake:trial_seconds=0.2", "--trials", 3)
    seen = watch(*search, cwd=tmp_path, variables={"PYTHONIOENCODING": "ascii"})
    assert seen.code == 0
    assert seen.text.isascii()
