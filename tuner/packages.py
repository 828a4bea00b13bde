"""Makes sure that the packages beside `tuner` are its own.

`engines`, `studies` and `dashboards` are names that others may use too; a folder of that name where Python
runs may be found instead. Nothing of ours is imported here, for it could be somebody else's.
"""

import importlib.util
import sys
from itertools import pairwise
from pathlib import Path

PACKAGES = ("engines", "studies", "dashboards")


def foreign_package() -> str | None:
    """Return what is wrong and what to do, in one line, when a package is not ours; None when all are."""
    home = Path(__file__).resolve().parent.parent
    for name in PACKAGES:
        found = importlib.util.find_spec(name)
        origin = Path(found.origin).resolve() if found is not None and found.origin else None
        if origin != home / name / "__init__.py":
            where = f"is {str(origin)!r}, not trt-tuner's" if origin else "is not there"
            return (
                f"the package {name!r} that Python finds {where}. "
                "Rename that one, run tuner from another folder, or install trt-tuner again."
            )
    return None


def is_command() -> bool:
    """Return whether Python was started as the command: that says the same with its own exit code."""
    started = sys.orig_argv
    script = sys.argv[0] if sys.argv else ""
    return Path(script).stem == "tuner" or ("-m", "tuner") in pairwise(started)


def require_own() -> None:
    """Raise ImportError, and not UserError, which would have to be imported from such a package."""
    problem = None if is_command() else foreign_package()
    if problem is not None:
        raise ImportError(problem, name="tuner")
