"""Times as people write them: 30m, 90s, 1h30m, 33ms."""

import re

UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
HOW_TO_WRITE = "Write 30m, 90s, 1h30m or 33ms."


def parse_seconds(text: str) -> float | None:
    """Seconds of `30m`, `1h30m`, `90s`, `33ms` or `90`; None for anything else."""
    text = text.strip().lower()
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|[smhd]?)", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * UNITS[unit or "s"] for number, unit in parts)
