"""What several commands share: options, how a run of trials is stopped, and how its end is printed."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tuner.commands.click_options import option
from tuner.options.search import Place
from tuner.terminal import streams

if TYPE_CHECKING:
    from studies.run.interfaces import Observer
    from studies.run.limits import Stop


F = TypeVar("F", bound=Callable[..., Any])


def in_order(*options: Callable[[Any], Any]) -> Callable[[F], F]:
    """Add the options and arguments in the order in which --help lists them."""

    def add(function: F) -> F:
        for one in reversed(options):
            function = one(function)
        return function

    return add


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON (see docs/json.md).")
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Print the result only.")
printing_options = in_order(
    click.option("--json", "as_json", is_flag=True, help="Print the result as JSON (see docs/json.md)."),
    quiet_option,
    click.option(
        "-v", "--verbose", is_flag=True, help="Print what the vendor's library logged for each trial."
    ),
)
workspace_options = in_order(option(Place, "workspace"), option(Place, "storage"))
stored = in_order(click.argument("study", required=False), workspace_options)


STOPS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stopping(watcher: "Observer") -> Iterator["Stop"]:
    """Finish the running trial at the first Ctrl-C; stop at once at the second and at other signals."""
    # takes as long to load as all that --help needs of ours
    import logging

    from engines.core.errors import Interrupted
    from studies.run.limits import Stop

    stop = Stop()

    def interrupt(number: int, _: object) -> None:
        if number != signal.SIGINT or stop.requested or not stop.running:
            raise Interrupted("interrupted", "Everything finished is saved.")
        stop.requested = True
        # printing here could meet a print that the signal interrupted; the watcher only takes note
        watcher.stopping()

    before = [signal.signal(number, interrupt) for number in STOPS]
    # of a connection that is interrupted while it is given back it logs a traceback; it is raised besides
    pool = logging.getLogger("sqlalchemy.pool")
    level = pool.level
    pool.setLevel(logging.CRITICAL)
    try:
        yield stop
    finally:
        pool.setLevel(level)
        for number, handler in zip(STOPS, before, strict=True):
            signal.signal(number, handler)


@contextmanager
def printing() -> Iterator[None]:
    """Print a result on standard output; a closed pipe does not change the exit code."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        streams.discard(sys.stdout)
