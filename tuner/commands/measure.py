"""`tuner measure`."""

from contextlib import closing
from typing import Any

import click

from tuner.commands.common import backend_option, inputs_option, json_option, quiet_option, shapes_option
from tuner.commands.parameter_types import FilePath, Seconds

LIKE = """With --like-trtexec the engine is timed as trtexec of that major version does by default, what is
asked for here aside, and its summary is printed by the same names."""


@click.command(epilog=LIKE)
@click.argument("engine", type=FilePath())
@backend_option("Who runs a plan: tensorrt or tensorrt-rtx")
@shapes_option("x:8x3x224x224.  [default: those that it was made for]")
@inputs_option("an array for each by its name")
@click.option("--streams", type=int, metavar="N", help="Inferences at a time.  [default: the export's, or 1]")
@click.option(
    "--cuda-graph/--no-cuda-graph", default=None, help="Launch the inference as a CUDA graph, or not."
)
@click.option(
    "--transfers/--no-transfers", default=None, help="Time the copies to and from the device too, or not."
)
@click.option("--cold", is_flag=True, help="Time inferences with caches flushed too.")
@click.option("--warm-up", type=Seconds(), help="Time to run untimed first, such as 200ms.")
@click.option(
    "--duration", type=Seconds(), help="Time to measure for.  [default: until it is known well, at most 3s]"
)
@click.option("--iterations", type=int, metavar="N", help="Inferences to time on each stream at least.")
@click.option(
    "--like-trtexec",
    type=click.Choice(["10", "11"]),
    help="Measure as trtexec of this major version does, and print its summary.",
)
@json_option
@quiet_option
def command(*, like_trtexec: str | None, as_json: bool, quiet: bool, **options: Any) -> None:
    """Measure one ENGINE: what tuner export wrote, a plan of TensorRT, or an .onnx or .ort file.

    Nothing is compared with the original model, and nothing is kept.
    """
    from dashboards.words.stages import DOING
    from tuner.progress.watchers import watcher_for
    from tuner.workflows.measure import MeasureOptions, measure, plan

    major = int(like_trtexec) if like_trtexec else None
    asked = MeasureOptions(**options, like_trtexec=major)
    engine, policy = plan(asked)
    with closing(watcher_for(quiet=quiet)) as watcher:
        watcher.note(f"measuring {engine.path} with {' or '.join(engine.backends)}")
        measured = measure(asked, engine, policy, lambda stage: watcher.preparing(DOING[stage]))
        from tuner.output import measured as shown

        for note in shown.notes(measured):
            watcher.note(note)
    if as_json:
        from tuner.documents.study import dump

        print(dump(shown.document(measured, major)), end="")
    elif major is not None:
        shown.print_like_trtexec(measured, major)
    else:
        shown.print_measured(measured)
