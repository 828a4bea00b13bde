"""`tuner show`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tuner.commands.common import stored

if TYPE_CHECKING:
    from tuner.api import Result


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

    if as_json and as_csv:
        raise click.UsageError("--json and --csv exclude each other")
    found = load(study, workspace=workspace, storage=storage)
    if as_json:
        _print_json(found, trial)
    elif as_csv:
        _print_csv(found, trial)
    else:
        _print(found, trial)


def _print_json(found: "Result", number: int | None) -> None:
    from tuner.documents import dump, one_trial_document, study_document

    study = found.study
    document = study_document(study) if number is None else one_trial_document(study, found.trial(number))
    print(dump(document), end="")


def _print_csv(found: "Result", number: int | None) -> None:
    from tuner.documents import columns, to_csv, trial_rows

    trials = found.study.trials if number is None else (found.trial(number),)
    print(to_csv(trial_rows(found.study, trials), columns(found.study)), end="")


def _print(found: "Result", number: int | None) -> None:
    from tuner.showing import print_study, print_trial

    if number is None:
        print_study(found.study)
    else:
        print_trial(found.study, found.trial(number))
