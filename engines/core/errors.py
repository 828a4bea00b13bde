"""The errors that are raised, and who has to act.

TunerError
├── UserError      the caller can fix it: one line and a hint, exit code 2
├── EngineError    one candidate cannot be made or run: stored as a failed trial
└── Interrupted    the caller asked to stop
"""


class TunerError(Exception):
    """`message` says in one line what happened, `hint` what to do about it (empty if there is nothing to
    do).
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}. {self.hint}" if self.hint else self.message


class UserError(TunerError):
    """The request is wrong, or this machine cannot do it; nothing was lost."""


class EngineError(TunerError):
    """One candidate failed; `kind` is one of the kinds that `results.Failure` names."""

    def __init__(self, message: str, hint: str = "", *, kind: str = "refused") -> None:
        super().__init__(message, hint)
        self.kind = kind


class Interrupted(TunerError):
    """The user stopped the search; everything finished is stored."""
