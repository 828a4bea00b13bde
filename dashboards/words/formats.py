"""How values are written: units, significant digits, and what stands for a value that is not there.

Everything here is plain text; whoever puts it in a page escapes it.
"""

import math
from collections.abc import Mapping, Sequence
from datetime import datetime

from engines.core.values import Stage, Value, text_of
from engines.statistics.estimates import Estimate
from studies.core.metrics import METRICS

MISSING = "\N{EN DASH}"
TIMES = "\N{MULTIPLICATION SIGN}"


def number(value: float | None, digits: int = 4) -> str:
    """Return the value to so many significant digits; a dash when it is None or not finite."""
    if value is None or not math.isfinite(value):
        return MISSING
    if value == 0:
        return "0"
    if not 1e-3 <= abs(value) < 1e7:
        return _scientific(value, digits)
    return f"{value:,.{max(digits - 1 - _exponent(value), 0)}f}"


def quantity(value: float | None, unit: str, digits: int = 4) -> str:
    """Return the value with its unit; bytes become KiB, MiB or GiB, and seconds minutes and hours."""
    if value is None or not math.isfinite(value):
        return MISSING
    if unit == "bytes":
        return size(value)
    if unit == "s":
        return duration(value)
    return f"{number(value, digits)} {unit}".rstrip()


def estimate(found: Estimate | None, unit: str = "") -> str:
    """Return the value, plus or minus half its 95 % interval where it has one, with the unit."""
    half_width = _half_width(found)
    if found is None or not half_width or unit == "bytes":
        return quantity(found.value if found else None, unit)
    decimals = max(3 - _exponent(found.value), -_exponent(half_width), 0)
    if decimals > 8:
        return f"{number(found.value)} ± {number(half_width, 2)} {unit}".rstrip()
    return f"{found.value:,.{decimals}f} ± {half_width:,.{decimals}f} {unit}".rstrip()


def metric(name: str, found: Estimate | None) -> str:
    """Return a metric's estimate in that metric's unit."""
    return estimate(found, unit_of(name))


def unit_of(metric: str) -> str:
    return METRICS[metric].unit if metric in METRICS else ""


def about(metric: str) -> str:
    """Return what the metric is, in words, with its unit: median time of one inference (ms)."""
    if metric not in METRICS:
        return metric
    unit = METRICS[metric].unit
    return f"{METRICS[metric].about} ({unit})" if unit else METRICS[metric].about


def times(ratio: float) -> str:
    """Return a ratio as a factor: 1.42 and a multiplication sign."""
    return f"{number(ratio, 3)}{TIMES}"


def factor(found: Estimate) -> str:
    """Return a ratio as a factor, with the digits that its interval warrants."""
    return _factor(found.value, found)


def interval(found: Estimate) -> str:
    """Return the 95 % interval of a ratio; empty where there is none."""
    return f"95 % interval {bounds(found)}" if bounds(found) else ""


def bounds(found: Estimate) -> str:
    """Return the ends of a ratio's interval as factors; empty where there is none."""
    if found.low is None or found.high is None:
        return ""
    return f"{_factor(found.low, found)} to {_factor(found.high, found)}"


def change(found: Estimate) -> str:
    """Return a ratio as a change in per cent with its interval: -0.1 % (-0.4 to 0.2)."""
    parts = [None if end is None else 100 * (end - 1) for end in (found.value, found.low, found.high)]
    decimals = max(1, -_exponent(100 * (_half_width(found) or 0.1)))
    value, low, high = (None if part is None else f"{part:.{decimals}f}" for part in parts)
    return f"{value} % ({low} to {high})" if low and high else f"{value} %"


def percent(share: float) -> str:
    value = 100 * share
    if 0 < value < 1:
        return "under 1 %"
    if 99 < value < 100:
        return "over 99 %"
    return f"{value:.0f} %"


def share(part: float) -> str:
    """Return a small share to two significant digits, in per cent."""
    return f"{number(100 * part if part > 1e-9 else 0, 2)} %"


def duration(seconds: float | None, digits: int = 3) -> str:
    """Return the duration in seconds below two minutes, else in minutes or hours."""
    if seconds is None or not math.isfinite(seconds):
        return MISSING
    if seconds < 120:
        return f"{number(seconds, digits)} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 120:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours:,} h {minutes} min"


def size(count: float | None) -> str:
    """Return the size in a binary unit."""
    if count is None or not math.isfinite(count):
        return MISSING
    if abs(count) < 1024:
        return f"{count:.0f} bytes"
    for unit in ("KiB", "MiB"):
        count /= 1024
        if abs(count) < 1024:
            return f"{number(count, 3)} {unit}"
    return f"{number(count / 1024, 3)} GiB"


def power(value: float) -> str:
    """Return a round number, as on an axis: 0.001 rather than 0.001000."""
    return f"{value:g}" if 1e-3 <= value < 1e4 else _scientific(value, 1)


def setting(value: Value | None) -> str:
    """Return a setting as the command line spells it."""
    return MISSING if value is None else text_of(value)


def moment(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M} {when.tzname() or ''}".rstrip()


def plural(count: int, noun: str, several: str = "") -> str:
    return f"{count:,} {noun if count == 1 else several or f'{noun}s'}"


def shortened(text: str, length: int = 32) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def trials(numbers: Sequence[int], most: int = 8) -> str:
    """Return trials by their numbers: trial 7, trials 7 and 9, trials 1, 2, 3, ..."""
    shown = [str(number) for number in numbers[:most]]
    if len(numbers) > most:
        return f"trials {', '.join(shown)}, ..."
    *before, last = shown
    return f"trials {', '.join(before)} and {last}" if before else f"trial {last}"


def _factor(ratio: float, found: Estimate) -> str:
    half_width = _half_width(found)
    if not half_width or not math.isfinite(ratio):
        return times(ratio)
    decimals = max(2 - _exponent(found.value), min(-_exponent(half_width), 4), 0)
    return f"{ratio:,.{decimals}f}{TIMES}"


def _half_width(found: Estimate | None) -> float | None:
    if found is None or found.low is None or found.high is None or not math.isfinite(found.value):
        return None
    half_width = (found.high - found.low) / 2
    # rounding differences of equal values are not a spread
    return half_width if 1e-12 * abs(found.value) < half_width < math.inf else None


def _exponent(value: float) -> int:
    return math.floor(math.log10(abs(value))) if value else 0


def _scientific(value: float, digits: int) -> str:
    mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}"


DOING: Mapping[Stage, str] = {
    "prepare": "preparing",
    "graph": "making the graph",
    "build": "building the engine",
    "load": "loading the engine",
    "check": "checking the outputs",
    "warm-up": "warming up",
    "wait": "waiting for another tuner to leave the GPU",
    "measure": "measuring",
}
