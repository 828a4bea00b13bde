"""`tuner show`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tuner.commands.common import json_option, stored

if TYPE_CHECKING:
    from tuner.api import Result


@click.command()
@stored
@click.option("--trial", type=int, metavar="N", help="Show one trial in full, its log included.")
@click.option(
    "--trtexec", "as_trtexec", is_flag=True, help="Print the line of trtexec that builds and runs the trial."
)
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV, a row a trial.")
def command(
    *,
    study: str | None,
    workspace: Path,
    storage: str | None,
    trial: int | None,
    as_trtexec: bool,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Show the trials of STUDY, the newest by default."""
    from tuner.api import load_study

    forms = {"--trtexec": as_trtexec, "--json": as_json, "--csv": as_csv}
    asked = [name for name, wanted in forms.items() if wanted]
    if len(asked) > 1:
        raise click.UsageError(f"{asked[0]} and {asked[1]} exclude each other")
    if as_trtexec and trial is None:
        raise click.UsageError("--trtexec is about one trial: name it with --trial N")
    found = load_study(study, workspace=workspace, storage=storage)
    if as_trtexec:
        _print_trtexec(found, trial)
    elif as_json:
        _print_json(found, trial)
    elif as_csv:
        _print_csv(found, trial)
    else:
        _print(found, trial)


def _print_trtexec(found: "Result", number: int | None) -> None:
    from tuner.bundles.trtexec_line import trtexec_lines

    assert number is not None
    print("\n".join(trtexec_lines(found.study, found.trial(number), found.workspace)))


def _print_json(found: "Result", number: int | None) -> None:
    from tuner.documents.base import dump
    from tuner.documents.study import one_trial_document, study_document

    if number is None:
        print(dump(study_document(found.view)), end="")
    else:
        print(dump(one_trial_document(found.study, found.trial(number))), end="")


def _print_csv(found: "Result", number: int | None) -> None:
    from tuner.documents.rows import columns, to_csv, trial_rows

    trials = found.study.trials if number is None else (found.trial(number),)
    print(to_csv(trial_rows(found.study, trials), columns(found.study)), end="")


def _print(found: "Result", number: int | None) -> None:
    from tuner.output.showing import print_study, print_trial

    if number is None:
        print_study(found.study)
    else:
        print_trial(found.study, found.trial(number))
