"""`tuner compare`."""

from contextlib import closing
from typing import Any

import click

from tuner.commands.click_options import options
from tuner.commands.common import in_order, json_option, quiet_option
from tuner.options.compare import CompareOptions, Places
from tuner.options.fields import build, options_of

WHAT = """A and B are each an ONNX file, a folder that tuner export wrote, a plan of TensorRT, a trial (7,
trial:7 or STUDY/trial:7), or an npz file of outputs. Both are run on the same inputs. Two ONNX files are
compared tensor by tensor too, in the order in which A runs. The exit code is 3 when an output of B is beyond
the limit, or cannot be compared; outputs that only one of them has do not count."""


@click.command(epilog=WHAT)
@in_order(
    *options(CompareOptions, but=tuple(options_of(Places))),
    *options(Places),
)
@json_option
@quiet_option
def command(*, as_json: bool, quiet: bool, **given: Any) -> int:
    """Compare the outputs of A and B on the same inputs: A is the reference."""
    from tuner.cli import FOUND, NOTHING_FEASIBLE
    from tuner.output import compared as shown
    from tuner.progress.watchers import watcher_for
    from tuner.workflows.compare import compare

    asked = build(CompareOptions, given)
    with closing(watcher_for(quiet=quiet)) as watcher:
        result = compare(asked, watcher.preparing)
        for note in shown.notes(result):
            watcher.note(note)
    if as_json:
        from tuner.documents.base import dump

        print(dump(shown.document(result)), end="")
    else:
        shown.print_result(result, every_tensor=asked.to_the_end)
    return NOTHING_FEASIBLE if result.is_beyond else FOUND
