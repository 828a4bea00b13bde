"""`tuner doctor`."""

from contextlib import closing
from pathlib import Path
from typing import Any

import click

from tuner.commands.common import backend_option, inputs_option, json_option, quiet_option, shapes_option
from tuner.commands.parameter_types import FilePath


@click.command()
@click.argument("model", type=FilePath(), required=False)
@backend_option("auto, tensorrt, tensorrt-rtx, onnxruntime or fake")
@shapes_option("x:8x3x224x224,y:1x128.")
@inputs_option("an array for each")
@click.option(
    "--runs",
    type=int,
    metavar="N",
    default=10,
    show_default=True,
    help="How often the same engine is measured; 0 only looks at the machine.",
)
@click.option(
    "--workspace",
    type=FilePath(),
    metavar="DIR",
    help="Folder whose engines are used, and keeps new ones.  [default: a temporary one]",
)
@json_option
@quiet_option
def command(*, as_json: bool, quiet: bool, model: Path | None, **options: Any) -> None:
    """Say what makes this machine noisy, and how small a difference it can tell apart.

    The same engine is measured again and again: of MODEL, or of a small network made for it. Nothing of the
    machine is changed.
    """
    from tuner.progress.watchers import watcher_for

    with closing(watcher_for(quiet=quiet)) as watcher:
        # takes a second, in which the display is there already
        from engines.machine.host_conditions import Host
        from tuner.documents.study import dump
        from tuner.workflows import doctor

        diagnosis = doctor.diagnose(doctor.DoctorOptions(model=model, **options), watcher, Host())
    if as_json:
        print(dump(doctor.diagnosis_document(diagnosis)), end="")
    else:
        from tuner.output.doctor import print_diagnosis

        print_diagnosis(diagnosis)
