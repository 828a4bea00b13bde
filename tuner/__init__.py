"""Finds the fastest engine for an ONNX model that still gives the right answers.

import tuner
result = tuner.search("model.onnx", trials=50)
result.best, result.baseline, result.trials      # records and a pandas DataFrame
result.export("out"); result.report("report.html")

Whatever the caller can mend is raised as tuner.UserError: one line, and a hint what to do.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engines.core.errors import UserError
    from tuner.api import Result, load, search

__version__ = "0.1.0"
__all__ = ["Result", "UserError", "__version__", "load", "search"]


def __getattr__(name: str) -> Any:
    # `tuner --help` and shell completion import this package, and are to stay quick
    if name in ("Result", "load", "search"):
        from tuner import api

        return getattr(api, name)
    if name == "UserError":
        from engines.core.errors import UserError

        return UserError
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
