"""`tuner export`."""

from pathlib import Path

import click

from tuner.commands.common import workspace_options
from tuner.commands.parameter_types import FilePath
from tuner.terminal import streams


@click.command()
@workspace_options
@click.option(
    "--trial",
    type=int,
    metavar="N",
    help="The trial to export.  [default: the best, or the baseline where nothing is significantly better]",
)
@click.argument("arguments", nargs=-1, metavar="[STUDY] OUT", type=FilePath())
def command(*, arguments: tuple[Path, ...], workspace: Path, storage: str | None, trial: int | None) -> None:
    """Export an engine of STUDY, the newest by default, with its evidence, in the folder OUT."""
    from tuner.api import load_study

    if not 1 <= len(arguments) <= 2:
        raise click.UsageError(f"expected [STUDY] OUT, not {len(arguments)} arguments")
    study = str(arguments[0]) if len(arguments) == 2 else None
    if study is None:
        _refuse_study_alone(str(arguments[0]), workspace, storage)
    found = load_study(study, workspace=workspace, storage=storage)
    folder = found.export(arguments[-1], trial)
    if found.recommended is not None and trial is None:
        number = found.recommended.number
        streams.say(f"note: this is {f'trial {number}' if number else 'the baseline'} of {found.study.name}")
    print(folder)


def _refuse_study_alone(name: str, workspace: Path, storage: str | None) -> None:
    """Raise UserError if the only argument names a study: then the folder OUT is missing."""
    from studies.storage.storage import open_storage
    from tuner.workflows.stored import require_storage

    with open_storage(require_storage(workspace, storage)) as opened:
        if name in opened.study_names() and not Path(name).exists():
            raise click.UsageError(
                f"{name!r} is a study, and the folder to write to is missing: tuner export {name} OUT"
            )
