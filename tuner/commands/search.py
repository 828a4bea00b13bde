"""`tuner search`."""

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from tuner import streams
from tuner.commands.common import FilePath, Seconds, workspace_options

if TYPE_CHECKING:
    from studies.owner import Stop
    from tuner.options import SearchOptions
    from tuner.searching import Outcome, Plan, Watcher

EXIT_CODES = "Exit codes: 0 found, 1 internal error, 2 wrong use, 3 nothing feasible, 130 interrupted."
STOPS = (signal.SIGINT, signal.SIGTERM)


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(OPTIONS):
        function = option(function)
    return function


def _shapes(name: str, help_text: str) -> Callable[..., Any]:
    trtexec = "--" + name.split("-", maxsplit=1)[0] + "".join(part.title() for part in name.split("-")[1:])
    names = [f"--{name}"] if trtexec == f"--{name}" else [f"--{name}", trtexec]
    return click.option(*names, name.replace("-", "_"), multiple=True, metavar="SHAPES", help=help_text)


OPTIONS = (
    click.argument("model", type=FilePath()),
    click.option(
        "--trials",
        type=int,
        metavar="N",
        default=50,
        show_default=True,
        help="Trials in all, the baseline included.",
    ),
    click.option(
        "--timeout",
        type=Seconds(),
        help="Time in all, such as 30m; the trial in flight is finished, and the finalists are measured "
        "again in three sessions at least.",
    ),
    click.option(
        "--trial-timeout", type=Seconds(), help="Time of one trial.  [default: from the baseline's]"
    ),
    click.option(
        "--backend",
        default="auto",
        show_default=True,
        metavar="NAME",
        help="auto, tensorrt, tensorrt-rtx, onnxruntime or fake; with options as NAME:OPTION=VALUE,...",
    ),
    click.option(
        "--plugins",
        type=FilePath(),
        multiple=True,
        metavar="LIB",
        help="Library of TensorRT plugins to load, such as libfoo.so; may be repeated.",
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
    click.option(
        "--deadline",
        type=Seconds(),
        metavar="TIME",
        help="Certify that 99 % of inferences meet it, with 95 % confidence, such as 33ms.",
    ),
    _shapes("shapes", "Shapes of the inputs, such as x:8x3x224x224,y:1x128."),
    _shapes("min-shapes", "Smallest shapes that the engine must take."),
    _shapes("opt-shapes", "Shapes to be fastest at, and to measure."),
    _shapes("max-shapes", "Largest shapes that the engine must take."),
    click.option(
        "--override-shape",
        "override_shapes",
        multiple=True,
        metavar="SHAPES",
        help="Make inputs of a dynamic model static in every graph, such as x:1x3x224x224.",
    ),
    click.option(
        "--inputs",
        type=FilePath(),
        metavar="NPZ",
        help="Real inputs, an array for each by its name, samples along the first axis.  [default: random]",
    ),
    click.option(
        "--calibration",
        metavar="SOURCE",
        help="Data that the ranges of int8 and fp8 are taken from: an npz file, a folder of npy files, or "
        "MODULE:FUNCTION that yields batches.  [default: the inputs]",
    ),
    click.option(
        "--reference",
        type=FilePath(),
        metavar="NPZ",
        help="The right outputs for --inputs, an array for each by its name.  [default: the model's own]",
    ),
    click.option(
        "--metric",
        "metrics",
        multiple=True,
        metavar="FUNCTION",
        help="Your own measure of the outputs, [NAME=]MODULE:FUNCTION[:minimize], for objectives and "
        "constraints; may be repeated.",
    ),
    click.option("--precision", metavar="LIST", help="Precisions to search, such as fp32,int8."),
    click.option(
        "--keep-fp32",
        multiple=True,
        metavar="PATTERN",
        help="Nodes that are never lowered, by name or operator, such as 'LayerNorm*'; may be repeated.",
    ),
    click.option(
        "--fix",
        multiple=True,
        metavar="NAME=VALUE",
        help="Search only this value of a dimension, or some: NAME=VALUE,VALUE; --dry-run lists them.",
    ),
    click.option("--transfers", is_flag=True, help="Time the copies to and from the device too."),
    click.option("--cold", is_flag=True, help="Also time inferences with caches flushed (cold_ms)."),
    click.option(
        "--self-test",
        type=int,
        metavar="N",
        default=5,
        show_default=True,
        help="Times that the baseline is measured again, to know the machine's noise.",
    ),
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
    workspace_options,
    click.option(
        "--output",
        type=FilePath(),
        metavar="DIR",
        help="Folder for the report and the engine.  [default: reports/STUDY in the workspace]",
    ),
    click.option(
        "--seed",
        type=int,
        metavar="N",
        default=0,
        show_default=True,
        help="Seed of the search and of random inputs.",
    ),
    click.option(
        "--dry-run", is_flag=True, help="Show the space and what the search would cost; run nothing."
    ),
    click.option("--json", "as_json", is_flag=True, help="Print the result as JSON (see docs/json.md)."),
    click.option("-q", "--quiet", is_flag=True, help="Print the result only."),
    click.option(
        "-v", "--verbose", is_flag=True, help="Print what the vendor's library logged for each trial."
    ),
)


@click.command(epilog=EXIT_CODES)
@_options
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
    from tuner.options import SearchOptions
    from tuner.progress import watcher_for

    asked = SearchOptions(mode="resume" if resume else "new" if new else "continue", **options)
    watcher = watcher_for(quiet=quiet, verbose=verbose)
    try:
        if dry_run:
            return _plan(asked, watcher, as_json)
        return _search(asked, watcher, as_json)
    finally:
        watcher.close()


def _plan(asked: "SearchOptions", watcher: "Watcher", as_json: bool) -> int:
    from tuner import searching
    from tuner.cli import FOUND

    planned = searching.plan(asked, watcher)
    watcher.close()
    _print_plan(planned, asked, as_json)
    return FOUND


def _search(asked: "SearchOptions", watcher: "Watcher", as_json: bool) -> int:
    # takes a second, in which the display is there already
    from tuner import searching

    with _signals(watcher) as stop:
        outcome = searching.run(asked, watcher, stop)
    watcher.close()
    try:
        _print_outcome(outcome, as_json)
        sys.stdout.flush()
    except BrokenPipeError:
        # the code still says what was found
        streams.discard(sys.stdout)
    return _code(outcome)


@contextmanager
def _signals(watcher: "Watcher") -> Iterator["Stop"]:
    """The first Ctrl-C lets the trial in flight finish, the second and any other signal stop at once."""
    from engines.errors import Interrupted
    from studies.owner import Stop

    stop = Stop()

    def interrupt(number: int, _: object) -> None:
        if number != signal.SIGINT or stop.requested or not stop.running:
            raise Interrupted("interrupted", "Everything finished is saved.")
        stop.requested = True
        # printing here could meet a print that the signal interrupted; the watcher only takes note
        watcher.stopping()

    before = [signal.signal(number, interrupt) for number in STOPS]
    try:
        yield stop
    finally:
        for number, handler in zip(STOPS, before, strict=True):
            signal.signal(number, handler)


def _print_plan(planned: "Plan", options: "SearchOptions", as_json: bool) -> None:
    from tuner import dry_run
    from tuner.documents import dump

    if as_json:
        print(dump(dry_run.plan_document(planned, options)), end="")
    else:
        dry_run.print_plan(planned, options)


def _print_outcome(outcome: "Outcome", as_json: bool) -> None:
    from tuner.documents import dump, outcome_document
    from tuner.summary import print_outcome

    if as_json:
        print(dump(outcome_document(outcome)), end="")
    else:
        print_outcome(outcome)


def _code(outcome: "Outcome") -> int:
    from tuner.cli import FOUND, INTERRUPTED, NOTHING_FEASIBLE

    if outcome.ending == "interrupted":
        return INTERRUPTED
    return FOUND if outcome.exported is not None else NOTHING_FEASIBLE
