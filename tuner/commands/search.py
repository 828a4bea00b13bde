"""`tuner search`."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from engines.errors import Interrupted
from tuner.options import SearchOptions, parse_seconds

EXIT_CODES = "Exit codes: 0 found, 1 internal error, 2 wrong use, 3 nothing feasible, 130 interrupted."


class Seconds(click.ParamType[float]):
    """A time such as 30m, 90s or 1h30m."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        return value if isinstance(value, float) else parse_seconds(str(value))


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(OPTIONS):
        function = option(function)
    return function


def _shapes(name: str, help_text: str) -> Callable[..., Any]:
    trtexec = "--" + name.split("-", maxsplit=1)[0] + "".join(part.title() for part in name.split("-")[1:])
    names = [f"--{name}"] if trtexec == f"--{name}" else [f"--{name}", trtexec]
    return click.option(*names, name.replace("-", "_"), multiple=True, metavar="SHAPES", help=help_text)


OPTIONS = (
    click.argument("model", type=click.Path(path_type=Path)),
    click.option(
        "--trials", type=int, default=50, show_default=True, help="Trials in all, the baseline included."
    ),
    click.option(
        "--timeout", type=Seconds(), help="Time in all, such as 30m; the trial in flight is finished."
    ),
    click.option(
        "--trial-timeout", type=Seconds(), help="Time of one trial.  [default: from the baseline's]"
    ),
    click.option(
        "--backend", default="auto", show_default=True, metavar="NAME", help="auto, onnxruntime or fake."
    ),
    click.option(
        "--objective",
        "objectives",
        multiple=True,
        metavar="METRIC",
        help="What to optimize; several make a Pareto study.  [default: latency_ms]",
    ),
    click.option(
        "--constraint",
        "constraints",
        multiple=True,
        metavar="LIMIT",
        help="What must hold, such as 'p99_ms<=5'; may be repeated.  [default: error<=0.01]",
    ),
    _shapes("shapes", "Shapes of the inputs, such as x:8x3x224x224,y:1x128."),
    _shapes("min-shapes", "Smallest shapes that the engine must take."),
    _shapes("opt-shapes", "Shapes to be fastest at, and to measure."),
    _shapes("max-shapes", "Largest shapes that the engine must take."),
    click.option("--inputs", type=click.Path(path_type=Path), metavar="NPZ", help="Real inputs, by name."),
    click.option("--precision", metavar="LIST", help="Precisions to search, such as fp32,int8."),
    click.option("--fix", multiple=True, metavar="NAME=VALUE", help="Fix a dimension of the space."),
    click.option("--study", metavar="NAME", help="Name of the study.  [default: after the model]"),
    click.option(
        "--resume", "mode", flag_value="resume", help="Go on with a study, or fail if there is none."
    ),
    click.option(
        "--new", "mode", flag_value="new", help="Begin a new study, even if there is one to go on with."
    ),
    click.option("--remeasure", is_flag=True, help="Measure again what earlier studies measured."),
    click.option(
        "--workspace",
        type=click.Path(path_type=Path),
        default=Path(".tuner"),
        show_default=True,
        metavar="DIR",
        help="Folder that keeps studies and engines.",
    ),
    click.option("--storage", metavar="URL", help="Database.  [default: studies.db in the workspace]"),
    click.option(
        "--output",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="Folder for the report and the best engine.  [default: reports/STUDY in the workspace]",
    ),
    click.option(
        "--seed", type=int, default=0, show_default=True, help="Seed of the search and of random inputs."
    ),
    click.option(
        "--dry-run", is_flag=True, help="Show the space and what the search would cost; run nothing."
    ),
    click.option("--json", "as_json", is_flag=True, help="Print the result as JSON."),
    click.option("-q", "--quiet", is_flag=True, help="Print the result only."),
    click.option(
        "-v", "--verbose", is_flag=True, help="Print what the vendor's library logged for each trial."
    ),
)


@click.command(epilog=EXIT_CODES)
@_options
def command(
    *, dry_run: bool, as_json: bool, quiet: bool, verbose: bool, mode: str | None, **options: Any
) -> int:
    """Find the fastest engine for MODEL that still gives the right answers.

    Running the same command again goes on where the last one stopped.
    """
    from tuner import searching
    from tuner.progress import watcher_for

    asked = SearchOptions(mode=mode or "continue", **options)  # type: ignore[arg-type]
    watcher = watcher_for(quiet=quiet, verbose=verbose)
    try:
        if dry_run:
            planned = searching.plan(asked, watcher)
            watcher.close()
            return _print_plan(planned, asked, as_json=as_json)
        with _signals() as stop:
            outcome = searching.run(asked, watcher, stop)
    finally:
        watcher.close()
    return _print_outcome(outcome, as_json=as_json)


@contextmanager
def _signals() -> Iterator[Any]:
    """The first Ctrl-C lets the trial in flight finish, the second and any other signal stop at once."""
    from studies.owner import Stop

    stop = Stop()

    def interrupt(number: int, _: object) -> None:
        if number != signal.SIGINT or stop.requested or not stop.running:
            raise Interrupted("interrupted")
        stop.requested = True
        click.echo("finishing the trial in flight; Ctrl-C again stops at once", err=True)

    handled = [signal.SIGINT, signal.SIGTERM]
    before = [signal.signal(number, interrupt) for number in handled]
    try:
        yield stop
    finally:
        for number, handler in zip(handled, before, strict=True):
            signal.signal(number, handler)


def _print_plan(planned: Any, options: SearchOptions, *, as_json: bool) -> int:
    from tuner import dry_run
    from tuner.cli import FOUND
    from tuner.documents import dump

    if as_json:
        click.echo(dump(dry_run.plan_document(planned, options)), nl=False)
    else:
        dry_run.print_plan(planned, options)
    return FOUND


def _print_outcome(outcome: Any, *, as_json: bool) -> int:
    from tuner.cli import FOUND, INTERRUPTED, NOTHING_FEASIBLE
    from tuner.documents import dump, outcome_document
    from tuner.summary import print_outcome

    if as_json:
        click.echo(dump(outcome_document(outcome)), nl=False)
    else:
        print_outcome(outcome)
    if outcome.ending == "interrupted":
        return INTERRUPTED
    return FOUND if outcome.exported is not None else NOTHING_FEASIBLE
