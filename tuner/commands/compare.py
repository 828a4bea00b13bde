"""`tuner compare`."""

from contextlib import closing
from pathlib import Path
from typing import Any

import click

from tuner.commands.common import (
    backend_option,
    inputs_option,
    json_option,
    quiet_option,
    shapes_option,
    workspace_options,
)

WHAT = """A and B are each an ONNX file, a folder that tuner export wrote, a plan of TensorRT, a trial (7,
trial:7 or STUDY/trial:7), or an npz file of outputs. Both are run on the same inputs. Two ONNX files are
compared tensor by tensor too, in the order in which A runs. The exit code is 3 when an output of B is beyond
the limit, or cannot be compared; outputs that only one of them has do not count."""


@click.command(epilog=WHAT)
@click.argument("first", metavar="A")
@click.argument("second", metavar="B")
@inputs_option("an array for each by its name")
@shapes_option("x:8x3x224x224.  [default: those that an engine was made for]")
@click.option(
    "--limit",
    type=float,
    default=0.01,
    show_default=True,
    metavar="ERROR",
    help="Largest relative L2 error.",
)
@click.option("--all", "to_the_end", is_flag=True, help="Compare every tensor of two ONNX files.")
@click.option("--study", metavar="NAME", help="The study of trials that name none.  [default: the newest]")
@workspace_options
@backend_option("Who runs an engine file: tensorrt or tensorrt-rtx")
@json_option
@quiet_option
def command(
    *,
    study: str | None,
    workspace: Path,
    storage: str | None,
    backend: str,
    as_json: bool,
    quiet: bool,
    **options: Any,
) -> int:
    """Compare the outputs of A and B on the same inputs: A is what B is held to."""
    from tuner.cli import FOUND, NOTHING_FEASIBLE
    from tuner.output import compared as shown
    from tuner.progress.watchers import watcher_for
    from tuner.workflows.compare import CompareOptions, compare
    from tuner.workflows.sides import Places

    places = Places(study, workspace, storage, backend)
    asked = CompareOptions(**options, places=places)
    with closing(watcher_for(quiet=quiet)) as watcher:
        result = compare(asked, watcher.preparing)
        for note in shown.notes(result):
            watcher.note(note)
    if as_json:
        from tuner.documents.study import dump

        print(dump(shown.document(result)), end="")
    else:
        shown.print_result(result, every_tensor=asked.to_the_end)
    return NOTHING_FEASIBLE if result.is_beyond else FOUND
