"""`tuner sensitivity`."""

from contextlib import closing
from typing import Any

import click

from tuner.commands.common import inputs_option, json_option, quiet_option, shapes_option
from tuner.commands.parameter_types import FilePath


@click.command()
@click.argument("model", type=FilePath())
@click.option(
    "--precision",
    type=click.Choice(["fp16", "bf16", "int8", "fp8", "int4"]),
    default="int8",
    show_default=True,
    help="What each node is lowered to.",
)
@shapes_option("x:8x3x224x224,y:1x128.")
@inputs_option("an array for each")
@click.option(
    "--calibration",
    metavar="SOURCE",
    help="Data that is used instead: an npz, a folder of npy files, or MODULE:FUNCTION that yields batches.",
)
@click.option("--top", type=int, metavar="N", default=20, show_default=True, help="How many nodes are shown.")
@json_option
@click.option("--output", type=FilePath(), metavar="HTML", help="Write a chart, a file that opens offline.")
@quiet_option
def command(*, as_json: bool, quiet: bool, **options: Any) -> None:
    """Rank the nodes of MODEL by how much they hurt when they are lowered.

    Each node is lowered by itself, and the outputs are compared with those of the model as it is. This is
    simulated on the CPU: no engine is built, and no GPU is needed.
    """
    from tuner.progress.watchers import watcher_for

    with closing(watcher_for(quiet=quiet)) as watcher:
        # takes a second, in which the display is there already
        from tuner.documents.study import dump
        from tuner.workflows import sensitivity

        asked = sensitivity.SensitivityOptions(**options)
        ranked = sensitivity.rank(asked, watcher)
        if asked.output is not None:
            from dashboards.charts.sensitivity import write

            watcher.preparing("drawing the chart")
            write(sensitivity.chart(ranked, asked.top), asked.output)
            watcher.note(f"the chart is in {asked.output}")
    if as_json:
        print(dump(sensitivity.ranking_document(ranked)), end="")
    else:
        from tuner.output.sensitivity import print_ranking

        print_ranking(ranked, asked.top)
