import threading
import time
from typing import Any

import pytest

from engines.backends.tensorrt.bindings.monitor import SEVERITIES, Messages, progress_monitor
from tests.engines.backends.tensorrt.fakes import enum, vendor


class ILogger:
    """As pybind11's: whoever derives from it must call its __init__."""

    Severity = enum("Severity", *SEVERITIES)
    is_made = False

    def __init__(self) -> None:
        self.is_made = True


class IProgressMonitor(ILogger):
    pass


def _log_everything(messages: Messages) -> None:
    for severity in ILogger.Severity:
        messages.logger.log(severity, f"a {severity.name}")


@pytest.mark.parametrize("level", SEVERITIES)
def test_the_log_has_what_is_at_least_as_severe_as_asked_for(
    level: str, capsys: pytest.CaptureFixture[str]
) -> None:
    messages = Messages(vendor(ILogger=ILogger), level)
    assert messages.logger.is_made
    _log_everything(messages)
    shown = SEVERITIES[: SEVERITIES.index(level) + 1]
    letters = dict(zip(SEVERITIES, "FEWIV", strict=True))
    assert capsys.readouterr().err.splitlines() == [f"[{letters[name]}] a {name}" for name in shown]


@pytest.mark.parametrize("level", ["INTERNAL_ERROR", "VERBOSE"])
def test_errors_are_kept_until_they_are_taken_whatever_the_level(level: str) -> None:
    messages = Messages(vendor(ILogger=ILogger), level)
    _log_everything(messages)
    assert messages.take_errors() == ["a INTERNAL_ERROR", "a ERROR"]
    assert messages.take_errors() == []


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which a test moves on."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def _monitor(told: list[str]) -> Any:
    return progress_monitor(vendor(IProgressMonitor=IProgressMonitor), told.append)


def test_phases_and_steps_are_told(clock: list[float]) -> None:
    told: list[str] = []
    monitor = _monitor(told)
    assert monitor.is_made
    monitor.phase_start("Building", None, 4)
    clock[0] += 1
    assert monitor.step_complete("Building", 0) is True
    clock[0] += 1
    monitor.phase_start("Tactics", "Building", 2)
    clock[0] += 1
    assert monitor.step_complete("Tactics", 1) is True
    monitor.phase_finish("Tactics")
    assert told == ["Building 0/4", "Building 1/4", "Tactics 0/2", "Tactics 2/2"]


def test_not_more_is_told_than_can_be_read(clock: list[float]) -> None:
    told: list[str] = []
    monitor = _monitor(told)
    monitor.phase_start("Building", None, 1000)
    for step in range(1000):
        clock[0] += 0.001
        assert monitor.step_complete("Building", step)
    assert 9 <= len(told) <= 11


def test_the_builders_threads_may_tell_at_once() -> None:
    told: list[str] = []
    monitor = _monitor(told)

    def work(phase: str) -> None:
        monitor.phase_start(phase, None, 200)
        for step in range(200):
            monitor.step_complete(phase, step)
        monitor.phase_finish(phase)

    threads = [threading.Thread(target=work, args=(f"phase {number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told
    assert all(text.startswith("phase ") for text in told)
