"""Receive the log and the progress of the vendor's library, and stop it on request."""

import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from engines.backends.tensorrt.bindings.vendor import Vendor

SEVERITIES = ("INTERNAL_ERROR", "ERROR", "WARNING", "INFO", "VERBOSE")
LETTERS = dict(zip(SEVERITIES, "FEWIV", strict=True))


class Messages:
    """The vendor's log: written to standard error, which is the trial's log, and the errors kept.

    `logger` is the vendor's ILogger and must live as long as whatever was made with it. With None for the
    level nothing is written.
    """

    def __init__(self, vendor: Vendor, level: str | None = "WARNING") -> None:
        self._errors: list[str] = []
        self._lock = threading.Lock()
        self._most = -1 if level is None else SEVERITIES.index(level)
        self.logger = _logger(vendor, self._take)

    def take_errors(self) -> list[str]:
        """The errors since the last call."""
        with self._lock:
            errors, self._errors = self._errors, []
        return errors

    def _take(self, severity: str, message: str) -> None:
        rank = SEVERITIES.index(severity)
        if rank <= self._most:
            sys.stderr.write(f"[{LETTERS[severity]}] {message}\n")
        if rank <= 1:
            with self._lock:
                self._errors.append(message)


def _logger(vendor: Vendor, take: Callable[[str, str], None]) -> Any:
    base = vendor.module.ILogger

    class Logger(base):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            base.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            take(severity.name, message)

    return Logger()


def progress_monitor(vendor: Vendor, report: Callable[[str], None]) -> Any:
    """The vendor's IProgressMonitor: reports the phase and how far it is, at most ten times a second.

    Its methods are called from the builder's threads.
    """
    base = vendor.module.IProgressMonitor

    class Monitor(base):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            base.__init__(self)
            self._steps: dict[str, int] = {}
            self._reported = 0.0

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self._steps[phase_name] = num_steps
            self._say(phase_name, 0)

        def step_complete(self, phase_name: str, step: int) -> bool:
            self._say(phase_name, step + 1)
            return True

        def phase_finish(self, phase_name: str) -> None:
            self._steps.pop(phase_name, None)

        def _say(self, phase: str, done: int) -> None:
            now = time.monotonic()
            if now - self._reported < 0.1:
                return
            self._reported = now
            report(f"{phase} {done}/{self._steps.get(phase, done)}")

    return Monitor()
