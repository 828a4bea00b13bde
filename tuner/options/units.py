"""Times and shares as people write them: 30m, 1h30m, 33ms; 1%, 0.5%, 0.01."""

import re

UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
TIMES = "Write 30m, 90s, 1h30m or 33ms."
SHARES = "Write 1%, 0.5% or 0.01; 0 turns it off."


def parse_seconds(text: str) -> float | None:
    """Seconds of `30m`, `1h30m`, `90s`, `33ms` or `90`; None for anything else."""
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
