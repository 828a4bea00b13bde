"""`tuner show`."""

from pathlib import Path

import click

from tuner.commands.common import stored


@click.command()
@stored
@click.option("--trial", type=int, metavar="N", help="Show one trial in full, its log included.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON (see docs/json.md).")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, a row a trial.")
def command(
    *,
    study: str | None,
    workspace: Path,
    storage: str | None,
    trial: int | None,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Show the trials of STUDY, the newest by default."""
    from tuner.api import load
    from tuner.documents import dump, study_document, to_csv, trial_document, trial_rows
    from tuner.showing import print_study, print_trial

    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other")
    found = load(study, workspace=workspace, storage=storage)
    if trial is not None:
        record = found.trial(trial)
        if as_json:
            click.echo(dump(trial_document(record)), nl=False)
        else:
            print_trial(found.study, record)
    elif as_json:
        click.echo(dump(study_document(found.study)), nl=False)
    elif as_csv:
        click.echo(to_csv(trial_rows(found.study)), nl=False)
    else:
        print_study(found.study)
