"""`tuner doctor`."""

from pathlib import Path
from typing import Any

import click

from tuner.commands.common import FilePath


@click.command()
@click.argument("model", type=FilePath(), required=False)
@click.option(
    "--backend",
    default="auto",
    show_default=True,
    metavar="NAME",
    help="auto, tensorrt, tensorrt-rtx, onnxruntime or fake; with options as NAME:OPTION=VALUE,...",
)
@click.option(
    "--shapes", multiple=True, metavar="SHAPES", help="Shapes of the inputs, such as x:8x3x224x224,y:1x128."
)
@click.option(
    "--inputs", type=FilePath(), metavar="NPZ", help="Real inputs, an array for each.  [default: random]"
)
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
@click.option("--json", "as_json", is_flag=True, help="Print JSON (see docs/json.md).")
@click.option("-q", "--quiet", is_flag=True, help="Print the result only.")
def command(*, as_json: bool, quiet: bool, model: Path | None, **options: Any) -> None:
    """Say what makes this machine noisy, and how small a difference it can tell apart.

    The same engine is measured again and again: of MODEL, or of a small network made for it. Nothing of the
    machine is changed.
    """
    from tuner.progress import watcher_for

    watcher = watcher_for(quiet=quiet)
    try:
        # takes a second, in which the display is there already
        from engines.host_conditions import Host
        from tuner import doctor
        from tuner.documents import dump

        diagnosis = doctor.diagnose(doctor.DoctorOptions(model=model, **options), watcher, Host())
    finally:
        watcher.close()
    if as_json:
        print(dump(doctor.diagnosis_document(diagnosis)), end="")
    else:
        doctor.print_diagnosis(diagnosis)
