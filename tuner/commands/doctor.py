"""`tuner doctor`."""

from contextlib import closing
from typing import Any

import click

from tuner.commands.click_options import options
from tuner.commands.common import in_order, json_option, quiet_option
from tuner.options.doctor import DoctorOptions


@click.command()
@in_order(*options(DoctorOptions))
@json_option
@quiet_option
def command(*, as_json: bool, quiet: bool, **given: Any) -> None:
    """Report what makes this machine noisy, and the smallest difference that it can detect.

    The same engine is measured again and again: of MODEL, or of a small built-in network. No setting of the
    machine is changed.
    """
    from tuner.progress.watchers import watcher_for

    with closing(watcher_for(quiet=quiet)) as watcher:
        # takes a second, in which the display is there already
        from engines.machine.host_conditions import Host
        from tuner.documents.base import dump
        from tuner.workflows import doctor

        diagnosis = doctor.diagnose(DoctorOptions(**given), watcher, Host())
    if as_json:
        print(dump(doctor.diagnosis_document(diagnosis)), end="")
    else:
        from tuner.output.doctor import print_diagnosis

        print_diagnosis(diagnosis)
