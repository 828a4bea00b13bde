"""What makes workloads, machines and evaluations the same, wherever their files lie."""

from engines.values import Candidate, Machine, Workload
from engines.wire import digest
from studies.records import StudySpec


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
    return [workload.model.digest, workload.shapes, workload.batch, source]


def machine_identity(machine: Machine) -> list[object]:
    """What makes a machine the same: not the release of its kernel, nor a few bytes of memory."""
    return [machine.kind, machine.processor, machine.cores, machine.driver, machine.libraries, machine.limits]
