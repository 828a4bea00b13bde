"""Say which workloads, machines and evaluations are the same, and which trials share a measurement."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from engines.artifacts.fingerprints import fingerprint, is_shared, measured_engine
from engines.core.results import Evaluation
from engines.core.values import Candidate, Machine, Workload
from engines.core.wire import digest
from engines.data.calibration import calibration_identity
from engines.shapes import plan
from studies.core.records import StudySpec, TrialRecord

# to be raised when a check measures more than before: what an earlier one found does not tell all
ACCURACY = 2


def evaluation_key(spec: StudySpec, candidate: Candidate) -> str:
    """Names everything that decides what comes of a candidate; two studies with the same key share it."""
    return digest(
        workload_identity(spec.workload),
        machine_identity(spec.machine),
        spec.backend,
        spec.backend_options,
        spec.policy,
        candidate,
    )


def workload_identity(workload: Workload) -> list[object]:
    """What makes a workload the same, wherever its files lie."""
    inputs = workload.inputs
    source = inputs.digest or inputs.seed
    return [workload.model.digest, *plan.identity(workload.plan), source, ACCURACY, chosen(workload)]


def chosen(workload: Workload) -> dict[str, object]:
    """What else the user chose, by what it is called; what was left alone is not in it."""
    found = {
        "calibration data": calibration_identity(workload) if workload.calibration else None,
        "reference": workload.expected.digest if workload.expected else None,
        "set of metrics": [
            (one.name, one.function.rpartition(":")[2], one.better, one.file.digest)
            for one in workload.metrics
        ],
        "set of nodes kept in FP32": sorted(workload.keep_fp32),
        "shape override": dict(workload.override_shapes),
    }
    return {name: value for name, value in found.items() if value}


def machine_identity(machine: Machine) -> list[object]:
    """What makes a machine the same: not the release of its kernel, nor a few bytes of memory."""
    return [machine.kind, machine.processor, machine.cores, machine.driver, machine.libraries, machine.limits]


def measured(records: Iterable[TrialRecord], candidate: Candidate) -> dict[str, Evaluation]:
    """What the candidate can share: the first measurement of each engine, by the engine's fingerprint.

    It was made in this study, to its end, with the same inputs and under the same run spec.
    """
    found: dict[str, Evaluation] = {}
    for record in records:
        known = fingerprint(record.engine)
        if known is not None and _is_source(record) and _is_measured_alike(record.candidate, candidate):
            found.setdefault(known, record.evaluation)
    return found


def same_as(evaluation: Evaluation, earlier: Iterable[TrialRecord]) -> int | None:
    """The earlier trial whose measurement this is; None for one of its own, or of another study's."""
    if not is_shared(evaluation):
        return None
    engine = measured_engine(evaluation)
    numbers = (
        record.number
        for record in earlier
        if record.measurement is not None
        # what shares a measurement itself is no source, unless it was so before this study
        and (record.reused or not is_shared(record.evaluation))
        and _is_measured_alike(record.candidate, evaluation.candidate)
        and measured_engine(record.evaluation) == engine
    )
    return next(numbers, None)


def _is_source(record: TrialRecord) -> bool:
    """Whether it was measured here, and not cut short against a bar that was another then."""
    measurement = record.measurement
    return measurement is not None and not measurement.pruned and not record.reused


def _is_measured_alike(one: Candidate, other: Candidate) -> bool:
    return one.run == other.run and plan.asked(one) == plan.asked(other)


def marked(records: Sequence[TrialRecord]) -> tuple[TrialRecord, ...]:
    """The trials, each with the trial whose measurement it shares.

    That is one of a lower number, or one of a higher number that was finished before it.
    """
    return tuple(
        replace(record, same_as=same_as(record.evaluation, _earlier(record, records)))
        if is_shared(record.evaluation)
        else record
        for record in records
    )


def _earlier(record: TrialRecord, records: Sequence[TrialRecord]) -> Iterator[TrialRecord]:
    end = _ended_at(record)
    return (one for one in records if one.number < record.number or _ended_at(one) < end)


def _ended_at(record: TrialRecord) -> datetime:
    return record.started_at + timedelta(seconds=record.seconds)
