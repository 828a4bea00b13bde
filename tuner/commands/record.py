"""`tuner record`."""

import shlex
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from studies.belief.measurement_plan import MeasurementPlan
from studies.core.options import Help
from studies.setup.request import Request
from tuner.commands.click_options import option, options
from tuner.commands.common import in_order, printing, printing_options, stopping, workspace_options
from tuner.options.fields import build
from tuner.options.record import RecordOptions
from tuner.options.search import Budget, Place

if TYPE_CHECKING:
    from tuner.workflows.record import Recorded

EXIT_CODES = "Exit codes: 0 recorded, 1 internal error, 2 wrong use, 130 interrupted."
# where and how to print, which is of no interest to whoever replays
LEFT_OUT = ("workspace", "storage", "output", "as_json", "quiet", "verbose")

OPTIONS = (
    option(Request, "model"),
    option(RecordOptions, "candidates"),
    option(RecordOptions, "passes"),
    option(
        Budget,
        "timeout",
        Help("Time of this run, such as 30m, a third of it for the best again; the same command goes on."),
    ),
    option(Budget, "trial_timeout"),
    option(RecordOptions, "warm_up"),
    option(RecordOptions, "duration"),
    option(RecordOptions, "together"),
    *options(Request, but=("model", "seed")),
    option(MeasurementPlan, "self_test"),
    option(Place, "study", Help("Name of the study.", default="MODEL-landscape")),
    workspace_options,
    option(RecordOptions, "output"),
    option(Request, "seed", Help("Seed of the order and of random inputs.")),
    printing_options,
)
# without what only a search does
OFF = {"racing": False, "finalists": 0, "prior": False}


@click.command(epilog=EXIT_CODES)
@in_order(*OPTIONS)
@click.pass_context
def command(context: click.Context, /, *, as_json: bool, quiet: bool, verbose: bool, **given: Any) -> int:
    """Measure the whole space of MODEL, and write it as a landscape that can be replayed.

    Candidates are measured in random order, then the best of them again. A landscape is replayed with
    --backend replay:landscape=FILE. Run the same command again to continue where the last one stopped.
    """
    from tuner.cli import FOUND, INTERRUPTED
    from tuner.progress.watchers import watcher_for

    asked = build(RecordOptions, {**given, **OFF, "command": command_line(context)})
    with closing(watcher_for(quiet=quiet, verbose=verbose)) as watcher:
        # takes a second, in which the display is there already
        from tuner.workflows import record

        with stopping(watcher) as stop:
            found = record.run(asked, watcher, stop)
    with printing():
        _print(found, as_json)
    return INTERRUPTED if found.ending == "interrupted" else FOUND


def _print(found: "Recorded", as_json: bool) -> None:
    from tuner.documents.base import dump
    from tuner.output import recorded

    if as_json:
        print(dump(recorded.recorded_document(found)), end="")
    else:
        recorded.print_recorded(found)


def command_line(context: click.Context) -> str:
    """Return the command line as typed, without options that only name places."""
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
