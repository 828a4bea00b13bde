"""Read times and shares as people write them (30m, 33ms; 1%, 0.01), and check the values of options.

Each mistake is a UserError of one line.
"""

import math
import re
from numbers import Integral
from pathlib import Path

from engines.core.errors import UserError
from studies.core.options import Range, Units
from tuner.options.fields import Option, values_of

UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
TIMES = "Write 30m, 90s, 1h30m or 33ms."
SHARES = "Write 1%, 0.5% or 0.01; 0 turns it off."


def parse_seconds(text: str) -> float | None:
    """Return seconds of `30m`, `1h30m`, `90s`, `33ms` or `90`; None for anything else."""
    text = text.strip().lower()
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|[smhd]?)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * UNITS[unit or "s"] for number, unit in parts)


def parse_share(text: str) -> float | None:
    """0.01 of `1%`, `1 %` or `0.01`; None for anything else."""
    match = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*(%?)", text.strip())
    if match is None:
        return None
    number, sign = match.groups()
    return float(number) / 100 if sign else float(number)


def check_options(options: object) -> None:
    """Check each option by what its field says of it; raises UserError. None is what was left to us."""
    for option, value in values_of(options):
        if value is not None:
            _check(option, value)


def _check(option: Option, value: object) -> None:
    unit, limits = option.mark(Units), option.mark(Range)
    if isinstance(value, Path):
        check_path(value)
    elif unit is not None and unit.name == "share":
        _check_share(option.flags[0], value)
    elif unit is not None:
        assert isinstance(value, int | float)
        _check_time(option.flags[0], value, zero=limits is not None)
    elif limits is not None:
        _check_whole(option.flags[0], value, limits)


def check_path(path: Path) -> None:
    """Raise UserError for a path that could not be stored or shown."""
    try:
        str(path).encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"the path {str(path)!a} is not text in UTF-8", "Rename the file or folder."
        ) from error
    if "\0" in str(path):
        raise UserError(f"the path {str(path)!r} has a zero byte in it", "Give the path of a file.")


def _check_whole(flag: str, count: object, limits: Range) -> None:
    if not isinstance(count, Integral):
        raise UserError(f"{flag} must be a whole number, not {count!r}", "Round it.")
    if limits.most is not None:
        wanted = f"from {limits.least} to {limits.most}"
    else:
        wanted = f"at least {limits.least}" if limits.least else "0 or more"
    if int(count) < limits.least or (limits.most is not None and int(count) > limits.most):
        raise UserError(f"{flag} must be {wanted}, not {count}", limits.hint)


def _check_time(flag: str, seconds: float, *, zero: bool) -> None:
    if not (seconds > 0 or (zero and seconds == 0)) or seconds == math.inf:
        least = "zero or more" if zero else "more than zero"
        limit = f"{least} and finite" if seconds == math.inf else least
        raise UserError(f"{flag} must be {limit}, not {seconds:g}", TIMES)


def _check_share(flag: str, share: object) -> None:
    if isinstance(share, bool) or not isinstance(share, int | float):
        raise UserError(f"{share!r} is not a percentage", SHARES)
    if not 0 <= share < 1:
        raise UserError(f"{flag} must be from 0 to less than 100 %, not {100 * share:g} %", SHARES)
