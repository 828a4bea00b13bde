"""Makes sure that the packages beside `tuner` are its own.

`engines`, `studies` and `dashboards` are names that others may use too; a folder of that name where the
command runs may be found instead. Nothing of ours is imported here, for it could be somebody else's.
"""

import importlib.util
from pathlib import Path

PACKAGES = ("engines", "studies", "dashboards")


def foreign_package() -> str | None:
    """What is wrong and what to do, in one line, when a package is not ours; None when all are."""
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
