"""`tuner sensitivity`."""

from contextlib import closing
from typing import Any

import click

from tuner.commands.click_options import option, options
from tuner.commands.common import in_order, json_option, quiet_option
from tuner.options.sensitivity import SensitivityOptions


@click.command()
@in_order(*options(SensitivityOptions, but=("output",)))
@json_option
@option(SensitivityOptions, "output")
@quiet_option
def command(*, as_json: bool, quiet: bool, **given: Any) -> None:
    """Rank the nodes of MODEL by how much they hurt when they are lowered.

    Each node is lowered by itself, and the outputs are compared with those of the model as it is. This is
    simulated on the CPU: no engine is built, and no GPU is needed.
    """
    from tuner.progress.watchers import watcher_for

    with closing(watcher_for(quiet=quiet)) as watcher:
        # takes a second, in which the display is there already
        from tuner.documents.base import dump
        from tuner.workflows import sensitivity

        asked = SensitivityOptions(**given)
        ranked = sensitivity.rank(asked, watcher)
        if asked.output is not None:
            from dashboards.pages.sensitivity import write

            watcher.preparing("drawing the chart")
            write(sensitivity.chart(ranked, asked.top), asked.output)
            watcher.note(f"the chart is in {asked.output}")
    if as_json:
        print(dump(sensitivity.ranking_document(ranked)), end="")
    else:
        from tuner.output.sensitivity import print_ranking

        print_ranking(ranked, asked.top)
