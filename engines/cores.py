"""Cores of this host that measuring has for itself, so that nothing else that a tuner does disturbs it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from engines.errors import UserError


def check(cores: tuple[int, ...]) -> None:
    """Raises UserError for cores that this process may not use, or that leave none for the rest."""
    if not cores:
        return
    if not hasattr(os, "sched_setaffinity"):
        raise UserError("this system does not let a process choose its cores", "Leave --cores out.")
    allowed = os.sched_getaffinity(0)
    others = sorted(set(cores) - allowed)
    known = ", ".join(map(str, sorted(allowed)))
    if others:
        raise UserError(f"--cores names {others[0]}, which this process may not use", f"It may use: {known}.")
    if allowed <= set(cores):
        raise UserError("--cores leaves no core for anything but measuring", f"There are: {known}.")


def leave(cores: tuple[int, ...]) -> None:
    """Keeps the calling thread, and every thread that it starts from now on, off these cores."""
    if cores:
        os.sched_setaffinity(0, os.sched_getaffinity(0) - set(cores))


@contextmanager
def kept_to(cores: tuple[int, ...]) -> Iterator[None]:
    """Has the calling thread on these cores alone; on those it had where there are none."""
    if not cores:
        yield
        return
    others = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, others)
