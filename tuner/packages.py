"""Makes sure that the packages beside `tuner` are its own.

`engines`, `studies` and `dashboards` are names that others may use too; a folder of that name where the
command runs would be imported instead.
"""

import importlib.util
from pathlib import Path

from engines.errors import UserError

PACKAGES = ("engines", "studies", "dashboards")


def check_packages() -> None:
    """Raises UserError naming the path of a package that is not ours."""
    home = Path(__file__).resolve().parent.parent
    for name in PACKAGES:
        found = importlib.util.find_spec(name)
        origin = Path(found.origin).resolve() if found is not None and found.origin else None
        if origin is None or origin != home / name / "__init__.py":
            raise UserError(
                f"the package {name!r} that Python finds is not trt-tuner's: {origin or 'nothing found'}",
                "Rename it, or run tuner from another folder.",
            )
