"""Decide which workloads, machines and evaluations are the same, and which trials share a measurement."""

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

# increase when checks measure more than before: older evaluations lack that
ACCURACY = 2


def evaluation_key(spec: StudySpec, candidate: Candidate) -> str:
    """Return a key of everything that decides a candidate's result; two studies with the same key share
    it.
    """
    return digest(
        workload_identity(spec.workload),
        machine_identity(spec.machine),
        spec.backend,
        spec.backend_options,
        spec.policy,
        candidate,
    )


def workload_identity(workload: Workload) -> list[object]:
    """Return what identifies a workload, independent of the paths of its files."""
    inputs = workload.inputs
    source = inputs.digest or inputs.seed
    return [workload.model.digest, *plan.identity(workload.plan), source, ACCURACY, chosen(workload)]


def chosen(workload: Workload) -> dict[str, object]:
    """Return what else the user chose, by name; defaults are left out."""
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
    """Return what identifies a machine, without its kernel release and small changes in memory."""
    return [machine.kind, machine.processor, machine.cores, machine.driver, machine.libraries, machine.limits]


def measured(records: Iterable[TrialRecord], candidate: Candidate) -> dict[str, Evaluation]:
    """Return the measurements that the candidate can share: the first of each engine, by its fingerprint.

    It was made in this study, to its end, with the same inputs and under the same run spec.
    """
    found: dict[str, Evaluation] = {}
    for record in records:
        known = fingerprint(record.engine)
        if known is not None and _is_source(record) and _is_measured_alike(record.candidate, candidate):
            found.setdefault(known, record.evaluation)
    return found


def same_as(evaluation: Evaluation, earlier: Iterable[TrialRecord]) -> int | None:
    """Return the earlier trial whose measurement this is; None for its own, or another study's."""
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
    """Return whether it was measured here and not pruned, since the bar was a different one then."""
    measurement = record.measurement
    return measurement is not None and not measurement.pruned and not record.reused


def _is_measured_alike(one: Candidate, other: Candidate) -> bool:
    return one.run == other.run and plan.asked(one) == plan.asked(other)


def marked(records: Sequence[TrialRecord]) -> tuple[TrialRecord, ...]:
    """Return the trials, each with the trial whose measurement it shares.

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
