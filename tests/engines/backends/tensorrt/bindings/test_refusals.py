from collections.abc import Callable
from typing import Any

import pytest

from engines.backends.tensorrt.bindings.monitor import Messages
from engines.backends.tensorrt.bindings.refusals import SILENT, explained, guarded, plain
from engines.core.errors import EngineError
from tests.engines.backends.tensorrt.fakes import enum, vendor

NO_DRIVER = (
    "[check.cpp::catch::2] Error Code 1: Cuda Runtime (In catch at /_src/check.cpp:2 (cudaError 35: old))"
)

Say = Callable[..., None]


class ILogger:
    Severity = enum("Severity", "INTERNAL_ERROR", "ERROR", "WARNING", "INFO", "VERBOSE")


@pytest.fixture
def messages() -> Messages:
    return Messages(vendor(ILogger=ILogger))


@pytest.fixture
def say(messages: Messages) -> Say:
    """The vendor's library logs errors."""

    def log(*texts: str) -> None:
        for text in texts:
            messages.logger.log(ILogger.Severity.ERROR, text)

    return log


def _failing(say: Say, *logged: str, error: Exception | None = None) -> Callable[[], Any]:
    def call() -> None:
        say(*logged)
        if error is not None:
            raise error

    return call


def test_what_is_made_is_given(messages: Messages) -> None:
    assert guarded(lambda: b"plan", messages) == b"plan"
    assert guarded(lambda: b"", messages) == b""


def test_nothing_made_is_explained_by_the_log(messages: Messages, say: Say) -> None:
    say("of an earlier call")
    with pytest.raises(EngineError) as caught:
        guarded(_failing(say, "first.", "first.", "second", "third"), messages)
    assert caught.value.message == "first; second"
    assert caught.value.kind == "refused"


def test_nothing_made_and_nothing_said_is_said(messages: Messages) -> None:
    with pytest.raises(EngineError, match=SILENT):
        guarded(lambda: None, messages)


def test_missing_driver_is_the_reason_only_if_there_is_no_other(messages: Messages, say: Say) -> None:
    with pytest.raises(EngineError) as caught:
        guarded(_failing(say, NO_DRIVER, "the real reason"), messages)
    assert caught.value.message == "the real reason"
    with pytest.raises(EngineError, match="cudaError 35: old"):
        guarded(_failing(say, NO_DRIVER), messages)


def test_build_failure_message_includes_the_log(messages: Messages, say: Say) -> None:
    error = TypeError("f(): incompatible function arguments. The following\n1. (self: m.C)")
    with pytest.raises(EngineError) as caught:
        guarded(_failing(say, "logged", error=error), messages)
    assert caught.value.message == "logged; f(): incompatible function arguments. The following"


def test_our_own_refusal_keeps_its_words_before_the_log(messages: Messages, say: Say) -> None:
    with pytest.raises(EngineError) as caught, explained(messages):
        _failing(say, "MIN<=OPT", error=EngineError("the profile was refused", "Fix it."))()
    assert caught.value.message == "the profile was refused: MIN<=OPT"
    assert caught.value.hint == "Fix it."


@pytest.mark.parametrize("logged", ["CUDA error: out of memory", "OutOfMemory (no tactic)"])
def test_memory_that_runs_out_is_a_kind_of_its_own(messages: Messages, say: Say, logged: str) -> None:
    with pytest.raises(EngineError) as caught:
        guarded(_failing(say, logged), messages)
    assert caught.value.kind == "out_of_memory"


def test_where_in_the_vendors_source_an_error_arose_is_left_out() -> None:
    logged = (
        "IBuilder::build: Error Code 4: API Usage Error (Dimension mismatch.\n"
        "  Axis 2. In validate at /_src/optimizer/api/network.cpp:3921)"
    )
    assert plain(logged) == "IBuilder::build: Error Code 4: API Usage Error (Dimension mismatch. Axis 2.)"
    assert plain("[tactic.cpp:1654: enumerate] no tactics.") == "no tactics"
    assert plain("a 4 in 5 In all") == "a 4 in 5 In all"
