"""The options that say what is measured and how: model, shapes, data, backend, objectives, space."""

from collections.abc import Callable
from typing import Any

import click

from tuner.commands.common import backend_option, inputs_option
from tuner.commands.parameter_types import FilePath, Seconds


def _shapes(name: str, help_text: str) -> Callable[..., Any]:
    trtexec = "--" + name.split("-", maxsplit=1)[0] + "".join(part.title() for part in name.split("-")[1:])
    names = [f"--{name}"] if trtexec == f"--{name}" else [f"--{name}", trtexec]
    return click.option(*names, name.replace("-", "_"), multiple=True, metavar="SHAPES", help=help_text)


WORKLOAD = (
    backend_option("auto, tensorrt, tensorrt-rtx, onnxruntime, fake or replay"),
    click.option(
        "--plugins",
        type=FilePath(),
        multiple=True,
        metavar="LIB",
        help="Library of TensorRT plugins to load, such as libfoo.so; may be repeated.",
    ),
    click.option(
        "--objective",
        "objectives",
        multiple=True,
        metavar="METRIC",
        help="What to optimize; several make a Pareto study.  [default: latency_ms]",
    ),
    click.option(
        "--constraint",
        "constraints",
        multiple=True,
        metavar="LIMIT",
        help="What must hold, such as 'p99_ms<=5'; may be repeated.  [default: error<=0.01]",
    ),
    click.option(
        "--deadline",
        type=Seconds(),
        metavar="TIME",
        help="Certify that 99 % of inferences meet it, with 95 % confidence, such as 33ms.",
    ),
    _shapes("shapes", "Shapes of the inputs, such as x:8x3x224x224,y:1x128."),
    _shapes("min-shapes", "Smallest shapes that the engine must take."),
    _shapes("opt-shapes", "Shapes to be fastest at, and to measure."),
    _shapes("max-shapes", "Largest shapes that the engine must take."),
    click.option(
        "--override-shape",
        "override_shapes",
        multiple=True,
        metavar="SHAPES",
        help="Make inputs of a dynamic model static in every graph, such as x:1x3x224x224.",
    ),
    inputs_option("an array for each by its name, samples along the first axis"),
    click.option(
        "--calibration",
        metavar="SOURCE",
        help="Data that the ranges of int8 and fp8 are taken from: an npz file, a folder of npy files, or "
        "MODULE:FUNCTION that yields batches.  [default: the inputs]",
    ),
    click.option(
        "--reference",
        type=FilePath(),
        metavar="NPZ",
        help="The right outputs for --inputs, an array for each by its name.  [default: the model's own]",
    ),
    click.option(
        "--metric",
        "metrics",
        multiple=True,
        metavar="FUNCTION",
        help="Your own measure of the outputs, [NAME=]MODULE:FUNCTION[:minimize], for objectives and "
        "constraints; may be repeated.",
    ),
    click.option("--precision", metavar="LIST", help="Precisions to search, such as fp32,int8."),
    click.option(
        "--keep-fp32",
        multiple=True,
        metavar="PATTERN",
        help="Nodes that are never lowered, by name or operator, such as 'LayerNorm*'; may be repeated.",
    ),
    click.option(
        "--fix",
        multiple=True,
        metavar="NAME=VALUE",
        help="Search only this value of a dimension, or some: NAME=VALUE,VALUE; --dry-run lists them.",
    ),
    click.option("--transfers", is_flag=True, help="Time the copies to and from the device too."),
    click.option("--cold", is_flag=True, help="Also time inferences with caches flushed (cold_ms)."),
)
