"""`tuner record`."""

import shlex
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from tuner.commands.common import (
    in_order,
    printing_options,
    seed_option,
    self_test_option,
    trial_timeout_option,
    workspace_options,
)
from tuner.commands.parameter_types import FilePath, Seconds
from tuner.commands.running import printing, stopping
from tuner.commands.workload import WORKLOAD

if TYPE_CHECKING:
    from tuner.workflows.record import Recorded

EXIT_CODES = "Exit codes: 0 recorded, 1 internal error, 2 wrong use, 130 interrupted."
# where and how to print, which is of no interest to whoever replays
LEFT_OUT = ("workspace", "storage", "output", "as_json", "quiet", "verbose")
# what a search has not
OF_RECORDING = ("candidates", "passes", "output", "warm_up", "duration", "together")

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
    trial_timeout_option,
    click.option("--warm-up", type=Seconds(), help="Time to run each untimed first.  [default: 200ms]"),
    click.option(
        "--duration",
        type=Seconds(),
        help="Time to measure each for.  [default: until it is known well, at most 3s]",
    ),
    click.option(
        "--together",
        is_flag=True,
        help="Load engines while others on the GPU load theirs; device memory is not known then.",
    ),
    *WORKLOAD,
    self_test_option,
    click.option("--study", metavar="NAME", help="Name of the study.  [default: MODEL-landscape]"),
    workspace_options,
    click.option(
        "--output",
        type=FilePath(),
        metavar="FILE",
        help="File for the landscape.  [default: reports/STUDY/landscape.json.gz in the workspace]",
    ),
    seed_option("the order"),
    printing_options,
)


@click.command(epilog=EXIT_CODES)
@in_order(*OPTIONS)
@click.pass_context
def command(context: click.Context, /, *, as_json: bool, quiet: bool, verbose: bool, **options: Any) -> int:
    """Measure the whole space of MODEL, and write it as a landscape that can be replayed.

    Candidates are measured in random order, then the best of them again. A landscape is replayed with
    --backend replay:landscape=FILE. Running the same command again goes on where the last one stopped.
    """
    from tuner.cli import FOUND, INTERRUPTED
    from tuner.options.search import SearchOptions
    from tuner.progress.watchers import watcher_for

    of_recording = {name: options.pop(name) for name in OF_RECORDING}
    common = SearchOptions(**options, racing=False, finalists=0, prior=False)
    with closing(watcher_for(quiet=quiet, verbose=verbose)) as watcher:
        # takes a second, in which the display is there already
        from tuner.workflows import record

        asked = record.RecordOptions(common, **of_recording, command=command_line(context))
        with stopping(watcher) as stop:
            found = record.run(asked, watcher, stop)
    with printing():
        _print(found, as_json)
    return INTERRUPTED if found.ending == "interrupted" else FOUND


def _print(found: "Recorded", as_json: bool) -> None:
    from tuner.documents.study import dump
    from tuner.output import recorded

    if as_json:
        print(dump(recorded.recorded_document(found)), end="")
    else:
        recorded.print_recorded(found)


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
