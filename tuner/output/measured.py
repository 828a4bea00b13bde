"""What `tuner measure` prints: a table for people, trtexec's summary, or JSON (see docs/json.md)."""

from dashboards.words import formats
from dashboards.words.telemetry import facts
from engines.core.results import Evaluation, Measurement
from engines.core.values import Candidate
from engines.core.wire import to_plain
from engines.shapes.text import format_shapes
from engines.statistics import estimates, trtexec
from engines.statistics.estimates import Estimate
from engines.statistics.trtexec import Times
from studies.core.metrics import metrics_of
from tuner.documents import base as documents
from tuner.documents import commands
from tuner.documents.measurement import measurement_of
from tuner.terminal.tables import add_row, new_table, print_table
from tuner.workflows.measure import Measured

# whether it was, as telemetry has it
CAPTURED = "cuda_graph"


def notes(measured: Measured) -> tuple[str, ...]:
    """Return what the user should know beside the figures."""
    found = list(measured.found.notes)
    blocks = measured.found.measurement.blocks
    if measured.run.get(CAPTURED) and any(block.telemetry.get(CAPTURED) == 0 for block in blocks):
        found.append("the engine cannot be captured as a CUDA graph, and was launched without one")
    if measured.policy.parts and not trtexec.summary(measured.found.measurement).parts:
        left_out = ", ".join(trtexec.PARTS.values())
        found.append(f"{measured.backend} reports latency only: {left_out} are left out")
    return tuple(found)


def print_measured(measured: Measured) -> None:
    """Print what was measured and how, a line each."""
    found, measurement = measured.found, measured.found.measurement
    about = f" ({measured.engine.about})" if measured.engine.about else ""
    table = new_table()
    add_row(table, "engine", f"{measured.engine.path}{about}")
    add_row(table, "machine", f"{found.machine.processor}, {measured.backend}")
    add_row(table, "shapes", format_shapes(found.shapes))
    for name, value in measured.run.items():
        add_row(table, name, formats.setting(value))
    for name, estimate in metrics(measured).items():
        add_row(table, name, formats.metric(name, estimate))
    for name, milliseconds in parts(measurement).items():
        add_row(table, f"{name} (apart)", f"{formats.number(milliseconds)} ms")
    for name, text in facts(measurement).items():
        add_row(table, name, text)
    print_table(table)


def print_like_trtexec(measured: Measured, major: int) -> None:
    """Print trtexec's lines about the times, without their dates."""
    measurement = measured.found.measurement
    summary, version = trtexec.summary(measurement), trtexec.VERSIONS[major]
    said = trtexec.prolog_lines(summary, measurement.warmup_runs, measured.policy)
    for line in [*said, "", *trtexec.summary_lines(summary)]:
        print(f"[I] {line}".rstrip())
    for line in trtexec.warning_lines(summary, version, measurement.streams):
        print(f"[W] {line}")


def document(measured: Measured, major: int | None) -> commands.MeasuredEngine:
    """Return the result as a document, with trtexec's figures if it was to be matched."""
    found, policy = measured.found, measured.policy
    return commands.MeasuredEngine(
        schema=documents.SCHEMA,
        engine=str(measured.engine.path),
        about=measured.engine.about or None,
        backend=documents.Backend(name=measured.backend, options=to_plain(measured.engine.options)),
        machine=documents.made(documents.Machine, found.machine),
        shapes={name: list(shape) for name, shape in found.shapes.items()},
        settings=dict(measured.run),
        transfers=policy.transfers,
        spin_wait=policy.spin_wait,
        metrics={name: documents.estimate_of(estimate) for name, estimate in metrics(measured).items()},
        parts=parts(found.measurement),
        measurement=measurement_of(found.measurement),
        notes=list(notes(measured)),
        trtexec=None if major is None else _trtexec(measured, major),
    )


def metrics(measured: Measured) -> dict[str, Estimate]:
    """Return every metric of a measurement."""
    return metrics_of(Evaluation(Candidate(run=measured.run), measurement=measured.found.measurement))


def parts(measurement: Measurement) -> dict[str, float]:
    """Return the times of enqueue and copies in milliseconds, if reported."""
    found = {name: estimates.state(measurement, name) for name in ("enqueue_ms", "h2d_ms", "d2h_ms")}
    return {name: state.value for name, state in found.items() if state is not None}


def _trtexec(measured: Measured, major: int) -> commands.LikeTrtexec:
    measurement = measured.found.measurement
    summary = trtexec.summary(measurement)
    return commands.LikeTrtexec(
        version=major,
        throughput_qps=summary.throughput,
        latency_ms=_times(summary.latency),
        **{name: _times(times) if (times := summary.parts.get(name)) else None for name in trtexec.PARTS},
        total_host_walltime_s=summary.walltime,
        total_gpu_compute_time_s=summary.compute_walltime,
        warnings=trtexec.warning_lines(summary, trtexec.VERSIONS[major], measurement.streams),
    )


def _times(of: Times) -> commands.Times:
    percentiles = {
        f"p{percent}": value for percent, value in zip(trtexec.PERCENTILES, of.percentiles, strict=True)
    }
    return commands.Times(
        min=of.minimum,
        max=of.maximum,
        mean=of.mean,
        median=of.median,
        **percentiles,
        coefficient_of_variance=documents.finite(of.variation),
    )
