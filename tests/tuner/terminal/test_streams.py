"""Streams that are closed, broken or without some characters, in this process; the rest is in test_cli."""

import io
import os
import sys
from collections.abc import Iterator

import pytest

from tuner.terminal import streams


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    before = sys.stdout, sys.stderr
    yield
    sys.stdout, sys.stderr = before


def _stream(encoding: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding)


@pytest.mark.parametrize(
    ("encoding", "written"),
    [
        ("ascii", b"1.42x +- 0.1 - ... ?"),
        ("latin-1", "1.42× ± 0.1 - ... ?".encode("latin-1")),  # noqa: RUF001
        ("utf-8", "1.42× ± 0.1 – … 名".encode()),  # noqa: RUF001
    ],
)
def test_characters_that_a_stream_lacks_are_replaced_by_something_to_read(
    encoding: str, written: bytes
) -> None:
    stream = sys.stdout = _stream(encoding)
    streams.prepare()
    print("1.42× ± 0.1 – … 名", end="", flush=True)  # noqa: RUF001, T201
    assert isinstance(stream.buffer, io.BytesIO)
    assert stream.buffer.getvalue() == written


def test_undecodable_names_can_be_printed() -> None:
    stream = sys.stdout = _stream("utf-8")
    streams.prepare()
    print("m\udcff.onnx", end="", flush=True)  # noqa: T201
    assert isinstance(stream.buffer, io.BytesIO)
    assert stream.buffer.getvalue() == b"m?.onnx"


def test_streams_that_were_closed_take_what_is_printed_to_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    streams.prepare()
    print("nothing", flush=True)  # noqa: T201
    streams.say("nothing")
    for stream in (sys.stdout, sys.stderr):
        stream.close()


def test_message_to_closed_pipe_is_ignored() -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as broken:
        sys.stderr = broken
        streams.say("first")
        streams.say("second")


def test_message_to_closed_stream_is_ignored() -> None:
    sys.stderr = io.StringIO()
    sys.stderr.close()
    streams.say("into the void")


@pytest.mark.parametrize(
    ("terminal", "variable", "screen", "color"),
    [
        ("xterm", "", True, True),
        ("xterm", "1", True, False),
        ("dumb", "", False, False),
        ("", "", False, False),
    ],
)
def test_what_a_terminal_can_do(
    monkeypatch: pytest.MonkeyPatch, terminal: str, variable: str, screen: bool, color: bool
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    sys.stderr = Terminal()
    monkeypatch.setenv("TERM", terminal)
    monkeypatch.setenv("NO_COLOR", variable)
    assert streams.is_screen(sys.stderr) is screen
    assert streams.has_color() is color


def test_file_is_not_a_terminal() -> None:
    assert not streams.is_screen(io.StringIO())
