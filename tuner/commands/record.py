"""`tuner record`."""

import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from tuner import streams
from tuner.commands.common import FilePath, Seconds, workspace_options
from tuner.commands.workload import WORKLOAD

EXIT_CODES = "Exit codes: 0 recorded, 1 internal error, 2 wrong use, 130 interrupted."
# where and how to print, which is of no interest to whoever replays
LEFT_OUT = ("workspace", "storage", "output", "as_json", "quiet", "verbose")
# what a search has not
OF_RECORDING = ("candidates", "passes", "output", "warm_up", "duration")

OPTIONS = (
    click.argument("model", type=FilePath()),
    click.option(
        "--candidates",
        type=int,
        metavar="N",
        help="Measure a random part of the space, the baseline included.  [default: all of it]",
    ),
    click.option(
        "--passes",
        type=int,
        metavar="N",
        default=14,
        show_default=True,
        help="Times that the best are measured again: 200 of them, then 100, then 50, and fewer of a small "
        "space.",
    ),
    click.option(
        "--timeout",
        type=Seconds(),
        help="Time of this run, such as 30m, a third of it for the best again; the same command goes on.",
    ),
    click.option(
        "--trial-timeout", type=Seconds(), help="Time of one trial.  [default: from the baseline's]"
    ),
    click.option("--warm-up", type=Seconds(), help="Time to run each untimed first.  [default: 200ms]"),
    click.option(
        "--duration",
        type=Seconds(),
        help="Time to measure each for.  [default: until it is known well, at most 3s]",
    ),
    *WORKLOAD,
    click.option(
        "--self-test",
        type=int,
        metavar="N",
        default=5,
        show_default=True,
        help="Times that the baseline is measured again, to know the machine's noise.",
    ),
    click.option("--study", metavar="NAME", help="Name of the study.  [default: MODEL-landscape]"),
    workspace_options,
    click.option(
        "--output",
        type=FilePath(),
        metavar="FILE",
        help="File for the landscape.  [default: reports/STUDY/landscape.json.gz in the workspace]",
    ),
    click.option(
        "--seed",
        type=int,
        metavar="N",
        default=0,
        show_default=True,
        help="Seed of the order and of random inputs.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print the result as JSON (see docs/json.md)."),
    click.option("-q", "--quiet", is_flag=True, help="Print the result only."),
    click.option(
        "-v", "--verbose", is_flag=True, help="Print what the vendor's library logged for each trial."
    ),
)


def _options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed(OPTIONS):
        function = option(function)
    return function


@click.command(epilog=EXIT_CODES)
@_options
@click.pass_context
def command(
    context: click.Context,
    /,
    *,
    as_json: bool,
    quiet: bool,
    verbose: bool,
    **options: Any,
) -> int:
    """Measure the whole space of MODEL, and write it as a landscape that can be replayed.

    Candidates are measured in random order, then the best of them again. A landscape is replayed with
    --backend replay:landscape=FILE. Running the same command again goes on where the last one stopped.
    """
    from tuner.cli import FOUND, INTERRUPTED
    from tuner.commands.search import stopping
    from tuner.options import SearchOptions
    from tuner.progress import watcher_for

    of_recording = {name: options.pop(name) for name in OF_RECORDING}
    common = SearchOptions(**options, racing=False, finalists=0, prior=False)
    watcher = watcher_for(quiet=quiet, verbose=verbose)
    try:
        # takes a second, in which the display is there already
        from tuner import recorded, recording

        asked = recording.RecordOptions(common, **of_recording, command=command_line(context))
        with stopping(watcher) as stop:
            found = recording.run(asked, watcher, stop)
    finally:
        watcher.close()
    try:
        if as_json:
            from tuner.documents import dump

            print(dump(recorded.recorded_document(found)), end="")
        else:
            recorded.print_recorded(found)
        sys.stdout.flush()
    except BrokenPipeError:
        # the landscape is written
        streams.discard(sys.stdout)
    return INTERRUPTED if found.ending == "interrupted" else FOUND


def command_line(context: click.Context) -> str:
    """What was typed, without what only says where things lie."""
    return shlex.join(["tuner", str(context.info_name), *_typed(context)])


def _typed(context: click.Context) -> Iterator[str]:
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name in LEFT_OUT or source is not ParameterSource.COMMANDLINE:
            continue
        value = context.params[parameter.name or ""]
        for one in value if isinstance(value, tuple) else (value,):
            text = one.name if isinstance(one, Path) else str(one)
            yield from [text] if isinstance(parameter, click.Argument) else _option(parameter, one, text)


def _option(parameter: click.Parameter, value: Any, text: str) -> list[str]:
    if isinstance(value, bool):
        return [(parameter.opts if value else parameter.secondary_opts)[0]]
    return [parameter.opts[0], text]
