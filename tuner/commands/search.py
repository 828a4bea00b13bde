"""`tuner search`."""

import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from studies.belief.measurement_plan import MeasurementPlan
from studies.setup.request import Request
from tuner.commands.click_options import asked, option, options
from tuner.commands.common import in_order, printing, printing_options, stopping
from tuner.options.fields import build
from tuner.options.search import Budget, Place, SearchOptions

if TYPE_CHECKING:
    from studies.run.interfaces import Observer
    from tuner.workflows.outcome import Outcome
    from tuner.workflows.plan import Prediction

EXIT_CODES = "Exit codes: 0 found, 1 internal error, 2 wrong use, 3 nothing feasible, 130 interrupted."

OPTIONS = (
    option(Request, "model"),
    *options(Budget),
    *options(Request, but=("model", "seed")),
    *options(MeasurementPlan),
    *options(Place),
    option(Request, "seed"),
    click.option(
        "--dry-run",
        is_flag=True,
        help="Show the space and how long the search takes; no more than the baseline is measured, and kept.",
    ),
    printing_options,
)


@click.command(epilog=EXIT_CODES)
@in_order(*OPTIONS)
def command(
    *,
    dry_run: bool,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **given: Any,
) -> int:
    """Find the fastest engine for MODEL that still gives the right answers.

    Run the same command again to continue where the last one stopped.
    """
    from tuner.progress.watchers import watcher_for

    search = build(SearchOptions, asked(given, SearchOptions))
    watcher_again = partial(watcher_for, quiet=quiet, verbose=verbose)
    with closing(watcher_again()) as watcher:
        if dry_run:
            return _plan(search, watcher, as_json, watcher_again)
        return _search(search, watcher, as_json)


def _plan(options: SearchOptions, watcher: "Observer", as_json: bool, again: "Callable[[], Observer]") -> int:
    """Show the plan, then what is known once the baseline was measured; `again` makes another watcher."""
    from tuner.documents.base import dump
    from tuner.output import dry_run
    from tuner.workflows import plan

    with stopping(watcher), plan.drafted(options, watcher) as draft:
        watcher.close()
        if not as_json:
            dry_run.print_plan(draft.plan, options)
            sys.stdout.flush()
        with closing(again()) as another:
            found = draft.predict(another)
    if as_json:
        print(dump(dry_run.plan_document(draft.plan, options, found)), end="")
    else:
        print("\n".join(dry_run.prediction_lines(draft.plan, options, found)))
    return _code_of_plan(found)


def _search(options: SearchOptions, watcher: "Observer", as_json: bool) -> int:
    # takes a second, in which the display is there already
    from tuner.workflows import search

    with stopping(watcher) as stop:
        outcome = search.run(options, watcher, stop)
    watcher.close()
    with printing():
        _print_outcome(outcome, as_json)
    return _code(outcome)


def _print_outcome(outcome: "Outcome", as_json: bool) -> None:
    from tuner.documents.base import dump
    from tuner.output.summary import print_outcome
    from tuner.workflows.outcome import outcome_document

    if as_json:
        print(dump(outcome_document(outcome)), end="")
    else:
        print_outcome(outcome)


def _code_of_plan(found: "Prediction") -> int:
    """Return the exit code of a search with only its baseline; raises UserError if that cannot run."""
    from tuner.cli import FOUND, INTERRUPTED, NOTHING_FEASIBLE

    if found.problem is not None:
        sys.stdout.flush()
        raise found.problem
    if found.stopped:
        return INTERRUPTED
    failed = found.baseline is not None and found.baseline.failure is not None
    return NOTHING_FEASIBLE if failed else FOUND


def _code(outcome: "Outcome") -> int:
    from tuner.cli import FOUND, INTERRUPTED, NOTHING_FEASIBLE

    if outcome.ending == "interrupted":
        return INTERRUPTED
    return FOUND if outcome.exported is not None else NOTHING_FEASIBLE
