"""Cores of a host as `taskset` has them: 0-3, 0,8."""

import re

HOW_TO_WRITE = "Write 0-3 or 0,8; `lscpu --extended` shows which there are."
# more than any host has, and not too many to count
HIGHEST = 65_535


def parse_cores(text: str) -> tuple[int, ...] | None:
    """(0, 1, 2, 8) of `0-2,8`; None for anything else."""
    found: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,5})(?:-(\d{1,5}))?\s*", part)
        if match is None:
            return None
        first, last = int(match[1]), int(match[2] or match[1])
        if not first <= last <= HIGHEST:
            return None
        found.update(range(first, last + 1))
    return tuple(sorted(found))


def format_cores(cores: tuple[int, ...]) -> str:
    """What `parse_cores` reads."""
    return ",".join(map(str, cores))
