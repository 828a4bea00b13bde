"""`tuner dashboard`."""

import webbrowser
from pathlib import Path

import click

from tuner.commands.common import stored


@click.command()
@stored
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Where to write it.  [default: in the workspace]",
)
@click.option("--open", "open_it", is_flag=True, help="Open it in the browser.")
def command(
    *, study: str | None, workspace: Path, storage: str | None, output: Path | None, open_it: bool
) -> None:
    """Write the report of STUDY, the newest by default: one HTML file that opens offline."""
    from engines.errors import UserError
    from tuner.api import load

    found = load(study, workspace=workspace, storage=storage)
    path = output or workspace / "reports" / found.study.name / "report.html"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        found.report(path)
    except OSError as error:
        raise UserError(
            f"cannot write {path}: {error.strerror}", "Choose another file with --output."
        ) from error
    click.echo(path)
    if open_it:
        webbrowser.open(path.resolve().as_uri())
