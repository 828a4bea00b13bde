"""What can go wrong, and who has to act.

TunerError
├── UserError      the caller can mend it: one line and a hint, exit code 2
├── EngineError    one candidate cannot be made or run: stored as a failed trial
└── Interrupted    the caller asked to stop
"""


class TunerError(Exception):
    """What happened in one line, and in `hint` what to do about it (empty when nothing can be done)."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}. {self.hint}" if self.hint else self.message


class UserError(TunerError):
    """A mistake in what was asked, or a machine that cannot do it; nothing was lost."""


class EngineError(TunerError):
    """One candidate failed; `kind` is one of the kinds that `results.Failure` names."""

    def __init__(self, message: str, hint: str = "", *, kind: str = "refused") -> None:
        super().__init__(message, hint)
        self.kind = kind


class Interrupted(TunerError):
    """The user stopped the search; everything finished is stored."""
