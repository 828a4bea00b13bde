"""Shares as people write them: 1%, 0.5%, 0.01."""

import re

HOW_TO_WRITE = "Write 1%, 0.5% or 0.01; 0 turns it off."


def parse_share(text: str) -> float | None:
    """0.01 of `1%`, `1 %` or `0.01`; None for anything else."""
    match = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*(%?)", text.strip())
    if match is None:
        return None
    number, sign = match.groups()
    return float(number) / 100 if sign else float(number)
