"""What makes workloads, machines and evaluations the same, wherever their files lie."""

from engines.core.values import Candidate, Machine, Workload
from engines.core.wire import digest
from engines.data.calibration import calibration_identity
from engines.shapes import plan
from studies.core.records import StudySpec

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
