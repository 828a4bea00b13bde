"""`tuner bisect`."""

from contextlib import closing
from pathlib import Path

import click

from tuner.commands.common import json_option, quiet_option, workspace_options


@click.command()
@click.argument("trial", type=int)
@click.argument("study", required=False)
@workspace_options
@json_option
@quiet_option
def command(
    *, trial: int, study: str | None, workspace: Path, storage: str | None, as_json: bool, quiet: bool
) -> int:
    """Find the nodes that must stay in FP32 for the outputs of TRIAL of STUDY to be right.

    STUDY is the newest by default. Engines are built with more and fewer nodes in FP32, and their outputs
    checked, until none of those that are kept can be left out.
    """
    from tuner.api import load_study
    from tuner.cli import FOUND, NOTHING_FEASIBLE
    from tuner.progress.watchers import watcher_for

    found = load_study(study, workspace=workspace, storage=storage)
    with closing(watcher_for(quiet=quiet)) as watcher:
        from tuner.documents.base import dump
        from tuner.workflows import bisect

        bisection = bisect.bisect(found.study, found.trial(trial), found.workspace, watcher)
    if as_json:
        print(dump(bisect.bisection_document(bisection)), end="")
    else:
        print("\n".join(bisect.lines(bisection)))
    return NOTHING_FEASIBLE if bisection.nodes is None else FOUND
