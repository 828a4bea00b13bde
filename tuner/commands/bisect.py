"""`tuner bisect`."""

from pathlib import Path

import click

from tuner.commands.common import workspace_options


@click.command()
@click.argument("trial", type=int)
@click.argument("study", required=False)
@workspace_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON (see docs/json.md).")
@click.option("-q", "--quiet", is_flag=True, help="Print the result only.")
def command(
    *, trial: int, study: str | None, workspace: Path, storage: str | None, as_json: bool, quiet: bool
) -> int:
    """Find the nodes that must stay in FP32 for the outputs of TRIAL of STUDY to be right.

    STUDY is the newest by default. Engines are built with more and fewer nodes in FP32, and their outputs
    checked, until none of those that are kept can be left out.
    """
    from tuner.api import load
    from tuner.cli import FOUND, NOTHING_FEASIBLE
    from tuner.progress import watcher_for

    found = load(study, workspace=workspace, storage=storage)
    watcher = watcher_for(quiet=quiet)
    try:
        from tuner import bisecting
        from tuner.documents import dump

        bisection = bisecting.bisect(found.study, found.trial(trial), found.workspace, watcher)
    finally:
        watcher.close()
    if as_json:
        print(dump(bisecting.bisection_document(bisection)), end="")
    else:
        print("\n".join(bisecting.lines(bisection)))
    return NOTHING_FEASIBLE if bisection.nodes is None else FOUND
