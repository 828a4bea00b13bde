"""`tuner dashboard`."""

from pathlib import Path

import click

from tuner.commands.common import stored
from tuner.commands.parameter_types import FilePath
from tuner.terminal import streams


@click.command()
@stored
@click.option(
    "--output",
    type=FilePath(),
    metavar="FILE",
    help="Where to write it.  [default: reports/STUDY/report.html in the workspace]",
)
@click.option("--open", "open_it", is_flag=True, help="Open it in the browser.")
def command(
    *, study: str | None, workspace: Path, storage: str | None, output: Path | None, open_it: bool
) -> None:
    """Write the report of STUDY, the newest by default: one HTML file that opens offline."""
    from tuner.api import load_study

    found = load_study(study, workspace=workspace, storage=storage)
    path = found.report(output or workspace / "reports" / found.study.name / "report.html")
    print(path)
    if open_it:
        _open(path)


def _open(path: Path) -> None:
    import webbrowser

    if not webbrowser.open(path.resolve().as_uri()):
        streams.say("note: no browser was found here; open the file yourself")
