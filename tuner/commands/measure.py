"""`tuner measure`."""

from contextlib import closing
from typing import Any

import click

from tuner.commands.click_options import options
from tuner.commands.common import in_order, json_option, quiet_option
from tuner.options.measure import MeasureOptions

LIKE = """With --like-trtexec the engine is timed as trtexec of that major version does by default, what is
asked for here aside, and its summary is printed by the same names."""


@click.command(epilog=LIKE)
@in_order(*options(MeasureOptions))
@json_option
@quiet_option
def command(*, as_json: bool, quiet: bool, **given: Any) -> None:
    """Measure one ENGINE: what tuner export wrote, a plan of TensorRT, or an .onnx or .ort file.

    Nothing is compared with the original model, and nothing is kept.
    """
    from dashboards.words.formats import DOING
    from tuner.progress.watchers import watcher_for
    from tuner.workflows.measure import measure, plan

    asked = MeasureOptions(**given)
    major = asked.like_trtexec
    engine, policy = plan(asked)
    with closing(watcher_for(quiet=quiet)) as watcher:
        watcher.note(f"measuring {engine.path} with {' or '.join(engine.backends)}")
        measured = measure(asked, engine, policy, lambda stage: watcher.preparing(DOING[stage]))
        from tuner.output import measured as shown

        for note in shown.notes(measured):
            watcher.note(note)
    if as_json:
        from tuner.documents.base import dump

        print(dump(shown.document(measured, major)), end="")
    elif major is not None:
        shown.print_like_trtexec(measured, major)
    else:
        shown.print_measured(measured)
