"""End a child process that leads a session of its own, and all of its children."""

import os
import signal
import subprocess
from contextlib import suppress
from typing import IO

CLOSING_SECONDS = 2.0


def bury(process: "subprocess.Popen[bytes]") -> int:
    """Wait for a process to end, kill it if necessary, and return its exit code; its children are killed
    too.
    """
    try:
        process.wait(CLOSING_SECONDS)
    except subprocess.TimeoutExpired:
        kill_group(process)
    code = process.wait()
    kill_group(process)
    close(process.stdin)
    return code


def kill_group(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def close(pipe: IO[bytes] | None) -> None:
    """Close a pipe whose reader may be gone."""
    if pipe is not None:
        with suppress(BrokenPipeError):
            pipe.close()
