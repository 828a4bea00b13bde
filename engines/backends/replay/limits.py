"""Refuse requests that a landscape cannot answer, before anything runs."""

from collections.abc import Callable, Collection, Mapping

from engines.core.errors import UserError
from engines.core.values import InputSource, Policy, Workload
from engines.landscapes.file import Landscape
from engines.shapes.plan import identity
from engines.shapes.text import format_shapes
from engines.statistics.metrics import names_where


def check(
    landscape: Landscape, file: str, workload: Workload, policy: Policy, metrics: Collection[str]
) -> None:
    """Raise UserError if the request differs from what was recorded; `file` is the landscape's name."""
    _check_model(landscape, file, workload)
    for option, of in ALIKE.items():
        was, now = of(landscape.workload, landscape.policy), of(workload, policy)
        if was != now:
            raise _unlike(landscape, file, option, was)
    _check_shapes(landscape, file, workload)
    if workload.expected is not None or workload.metrics:
        raise UserError(
            "a replay has errors but no outputs to be judged", "Leave --reference and --metric out."
        )
    _require_replayed(landscape, policy, metrics)


def _check_model(landscape: Landscape, file: str, workload: Workload) -> None:
    recorded = landscape.workload.model
    if workload.model.digest != recorded.digest:
        raise UserError(
            f"{file} was recorded with another model, {recorded.file.name}",
            "Give the same file that tuner record was given.",
        )


def _check_shapes(landscape: Landscape, file: str, workload: Workload) -> None:
    recorded = landscape.workload.plan
    if identity(workload.plan) != identity(recorded):
        shapes = format_shapes({name: one.optimum for name, one in recorded.ranges.items()})
        raise UserError(f"{file} was recorded at other shapes", f"Write --shapes {shapes}.")


def _unlike(landscape: Landscape, file: str, option: str, was: object) -> UserError:
    if not was:
        return UserError(f"{file} was recorded without {option}", "Leave it out.")
    return UserError(
        f"{file} was recorded with {option} of its own", f"Write it as it was recorded: {landscape.command}."
    )


def _require_replayed(landscape: Landscape, policy: Policy, metrics: Collection[str]) -> None:
    outputs = [output for run in landscape.runs for output in run.outputs]
    made_up = {"cosine"} if any(output.cosine is None for output in outputs) else set()
    # other metrics would be invented, or taken from the replaying process
    reported = [name for name in names_where(lambda metric: metric.replayed) if name not in made_up]
    for name in metrics:
        if name not in reported:
            raise UserError(f"a replay does not report {name}", f"It reports {', '.join(reported)}.")
    if policy.cold:
        raise UserError("a replay has no times with caches flushed", "Leave --cold out.")


def _data(source: InputSource | None) -> object:
    """Return what distinguishes two sources of data; all random data is the same."""
    return None if source is None or source.is_random else (source.digest, source.function)


# options that change what is measured: they must be those of tuner record
ALIKE: Mapping[str, Callable[[Workload, Policy], object]] = {
    "--override-shape": lambda workload, _: workload.override_shapes,
    "--inputs": lambda workload, _: _data(workload.inputs),
    "--calibration": lambda workload, _: _data(workload.calibration),
    "--keep-fp32": lambda workload, _: workload.keep_fp32,
    "--transfers": lambda _, policy: policy.transfers,
}
