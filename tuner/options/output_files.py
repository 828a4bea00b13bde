"""Files that a command writes under a name of the user's: only an earlier one of the kind is replaced."""

import gzip
import os
import re
import tempfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from engines.core.errors import UserError
from tuner.options.checks import check_path

# enough of an existing file to recognise its kind
_HEAD_BYTES = 8192


@dataclass(frozen=True)
class Output:
    """A kind of file, and how one begins that was written before; `is_packed` says that this is in gzip."""

    what: str
    beginning: re.Pattern[bytes]
    is_packed: bool = False


REPORT = Output("report", re.compile(rb"(?s)<!doctype html>.*<title>[^<]*: trt-tuner</title>"))
CHART = Output("chart", re.compile(rb"(?s)<!doctype html>.*<title>[^<]*: how much each node hurts</title>"))
LANDSCAPE = Output("landscape", re.compile(rb'\{"backend":"[^"]*","baseline":\{"build":\{'), is_packed=True)


def check_output(path: Path, output: Output, reads: Iterable[Path | None] = ()) -> None:
    """Make sure that the output can be written there, and that nothing else is lost by it.

    `reads` are the files that it is made from, whether they are there yet or not; None is none. Raises
    UserError.
    """
    check_path(path)
    try:
        if any(_is_same(path, one) for one in reads if one is not None):
            raise UserError(
                f"the {output.what} cannot replace {str(path)!r}, which it is made from", "Name another file."
            )
        _check_earlier(path, output)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise cannot_write(path, output, error, "Name another file.") from error


def cannot_write(path: Path, output: Output, error: OSError, hint: str) -> UserError:
    """Return the error to raise if the system refuses to write."""
    reason = error.strerror or type(error).__name__
    return UserError(f"cannot write the {output.what} to {str(path)!r}: {reason}", hint)


def _is_same(one: Path, other: Path) -> bool:
    if one.exists() and other.exists():
        return one.samefile(other)
    return os.path.realpath(one) == os.path.realpath(other)


def _check_earlier(path: Path, output: Output) -> None:
    if path.is_dir():
        raise UserError(f"{str(path)!r} is a folder", f"Name the file to write the {output.what} to.")
    if not path.exists():
        return
    if not path.is_file():
        raise UserError(f"{str(path)!r} is not a regular file", "Name another file.")
    if path.stat().st_size and not output.beginning.match(_head(path, output.is_packed)):
        raise UserError(
            f"{str(path)!r} is there already and is no {output.what} of ours",
            "Name another file, or move this one away.",
        )


def _head(path: Path, is_packed: bool) -> bytes:
    with path.open("rb") as file:
        if not is_packed:
            return file.read(_HEAD_BYTES)
        try:
            with gzip.open(file) as unpacked:
                return unpacked.read(_HEAD_BYTES)
        except (gzip.BadGzipFile, EOFError, zlib.error):
            return b""
