"""`tuner export`."""

from pathlib import Path

import click

from tuner.commands.common import workspace_options


@click.command()
@workspace_options
@click.option("--trial", type=int, metavar="N", help="The trial to export.  [default: the best]")
@click.argument("arguments", nargs=-1, metavar="[STUDY] OUT", required=True)
def command(*, arguments: tuple[str, ...], workspace: Path, storage: str | None, trial: int | None) -> None:
    """Hand over an engine of STUDY, the newest by default, with its evidence, in the folder OUT."""
    from engines.errors import UserError
    from tuner.api import load

    if len(arguments) > 2:
        raise click.UsageError(f"expected [STUDY] OUT, not {len(arguments)} arguments")
    study = arguments[0] if len(arguments) == 2 else None
    found = load(study, workspace=workspace, storage=storage)
    try:
        click.echo(found.export(arguments[-1], trial))
    except OSError as error:
        raise UserError(
            f"cannot write {arguments[-1]}: {error.strerror}", "Choose another folder."
        ) from error
