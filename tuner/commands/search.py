"""`tuner search`."""

import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from tuner.commands.common import (
    in_order,
    printing_options,
    seed_option,
    self_test_option,
    trial_timeout_option,
    workspace_options,
)
from tuner.commands.parameter_types import FilePath, Seconds, Share
from tuner.commands.running import printing, stopping
from tuner.commands.workload import WORKLOAD

if TYPE_CHECKING:
    from tuner.options.search import SearchOptions
    from tuner.workflows.outcome import Outcome
    from tuner.workflows.plan import Prediction
    from tuner.workflows.search import Watcher

EXIT_CODES = "Exit codes: 0 found, 1 internal error, 2 wrong use, 3 nothing feasible, 130 interrupted."

OPTIONS = (
    click.argument("model", type=FilePath()),
    click.option(
        "--trials",
        type=int,
        metavar="N",
        help="Trials at most, the baseline included.  [default: 50]",
    ),
    click.option(
        "--timeout",
        type=Seconds(),
        help="Time at most, such as 30m; the trial in flight is finished, and the finalists are measured "
        "again in three sessions at least.",
    ),
    trial_timeout_option,
    click.option(
        "--min-gain",
        type=Share(),
        metavar="PERCENT",
        help="Stop once no more than this is likely to be gained by going on; 0 never does.  [default: 1%]",
    ),
    click.option(
        "--exhaustive", is_flag=True, help="Try every candidate of the space, up to 10,000 of them."
    ),
    *WORKLOAD,
    self_test_option,
    click.option(
        "--racing/--no-racing",
        default=True,
        help="Stop measuring what is clearly worse than the best.  [default: racing]",
    ),
    click.option(
        "--finalists",
        type=int,
        metavar="N",
        default=4,
        show_default=True,
        help="The best that are measured again in turn before one is called the winner.",
    ),
    click.option(
        "--rebuild-finalists",
        type=int,
        metavar="N",
        default=0,
        show_default=True,
        help="Times that each finalist is built anew with cold caches, to tell luck from settings.",
    ),
    click.option("--study", metavar="NAME", help="Name of the study.  [default: after the model]"),
    click.option("--resume", is_flag=True, help="Go on with a study, or fail if there is none."),
    click.option("--new", is_flag=True, help="Begin a new study, even if there is one to go on with."),
    click.option("--remeasure", is_flag=True, help="Measure again what earlier studies measured."),
    click.option(
        "--prior/--no-prior",
        default=True,
        help="Begin with what earlier studies of similar models showed.  [default: prior]",
    ),
    workspace_options,
    click.option(
        "--output",
        type=FilePath(),
        metavar="DIR",
        help="Folder for the report and the engine.  [default: reports/STUDY in the workspace]",
    ),
    seed_option("the search"),
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
    resume: bool,
    new: bool,
    **options: Any,
) -> int:
    """Find the fastest engine for MODEL that still gives the right answers.

    Running the same command again goes on where the last one stopped.
    """
    if resume and new:
        raise click.UsageError("--resume and --new exclude each other")
    from tuner.options.search import SearchOptions
    from tuner.progress.watchers import watcher_for

    asked = SearchOptions(mode="resume" if resume else "new" if new else "continue", **options)
    watcher_again = partial(watcher_for, quiet=quiet, verbose=verbose)
    with closing(watcher_again()) as watcher:
        if dry_run:
            return _plan(asked, watcher, as_json, watcher_again)
        return _search(asked, watcher, as_json)


def _plan(asked: "SearchOptions", watcher: "Watcher", as_json: bool, again: "Callable[[], Watcher]") -> int:
    """Shows the plan, then what is known once the baseline was measured; `again` makes another watcher."""
    from tuner.documents.study import dump
    from tuner.output import dry_run
    from tuner.workflows import plan

    with stopping(watcher), plan.drafted(asked, watcher) as draft:
        watcher.close()
        if not as_json:
            dry_run.print_plan(draft.plan, asked)
            sys.stdout.flush()
        with closing(again()) as another:
            found = draft.predict(another)
    if as_json:
        print(dump(dry_run.plan_document(draft.plan, asked, found)), end="")
    else:
        print("\n".join(dry_run.prediction_lines(draft.plan, asked, found)))
    return _code_of_plan(found)


def _search(asked: "SearchOptions", watcher: "Watcher", as_json: bool) -> int:
    # takes a second, in which the display is there already
    from tuner.workflows import search

    with stopping(watcher) as stop:
        outcome = search.run(asked, watcher, stop)
    watcher.close()
    with printing():
        _print_outcome(outcome, as_json)
    return _code(outcome)


def _print_outcome(outcome: "Outcome", as_json: bool) -> None:
    from tuner.documents.study import dump
    from tuner.output.summary import print_outcome
    from tuner.workflows.outcome import outcome_document

    if as_json:
        print(dump(outcome_document(outcome)), end="")
    else:
        print_outcome(outcome)


def _code_of_plan(found: "Prediction") -> int:
    """As the search would end with no more than its baseline; raises what keeps the baseline from running."""
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
