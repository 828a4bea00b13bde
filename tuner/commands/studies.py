"""`tuner studies`."""

from pathlib import Path

import click

from tuner.commands.common import json_option, workspace_options


@click.command()
@workspace_options
@json_option
def command(*, workspace: Path, storage: str | None, as_json: bool) -> None:
    """List the studies, the newest last."""
    from studies.storage.storage import open_storage
    from tuner.documents.base import dump
    from tuner.documents.study import studies_document
    from tuner.output.showing import print_studies
    from tuner.workflows.stored import require_storage

    with open_storage(require_storage(workspace, storage)) as opened:
        summaries = opened.summaries()
    if as_json:
        print(dump(studies_document(summaries)), end="")
    else:
        print_studies(summaries)
