"""Find the fastest engine for an ONNX model that still gives the right answers.

import tuner
result = tuner.search("model.onnx", trials=50)
result.best, result.baseline, result.trials      # records and a pandas DataFrame
result.export("out"); result.report("report.html")

Every mistake that the caller can fix raises tuner.UserError: one line, with a hint what to do.
"""

import importlib
from typing import TYPE_CHECKING, Any

from tuner.packages import require_own

if TYPE_CHECKING:
    from engines.core.errors import UserError
    from engines.core.values import Dimension, Policy
    from studies.search.sampler import EngineSampler
    from tuner.api import Result, load_study, search

require_own()

# as in engines/core/version.py, which may be somebody else's here
__version__ = "0.1.0"

__all__ = [
    "Dimension",
    "EngineSampler",
    "Policy",
    "Result",
    "UserError",
    "__version__",
    "load_study",
    "search",
]
# loaded when they are used: `tuner --help` and shell completion import this package, and are to stay quick
_MODULES = {
    "Dimension": "engines.core.values",
    "EngineSampler": "studies.search.sampler",
    "Policy": "engines.core.values",
    "Result": "tuner.api",
    "UserError": "engines.core.errors",
    "load_study": "tuner.api",
    "search": "tuner.api",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
