"""What the trials of one study share in a worker: the backend, the workload, and its reference outputs."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from engines.accuracy import reference as references
from engines.accuracy import task_metrics
from engines.accuracy.reference_file import read_reference
from engines.artifacts.workspace import Workspace
from engines.backends.base import Backend, MakesReference
from engines.core.values import Policy, Tensors, Workload
from engines.data.calibration import check_calibration
from engines.data.inputs import make_inputs
from engines.machine.device_lock import DeviceLock


@dataclass(frozen=True)
class Reference:
    """Batches of inputs, and the reference outputs of each.

    `given` are the inputs that the user's metrics get, and `scores` their values for the reference outputs.
    """

    batch: int
    inputs: list[Tensors]
    outputs: list[Tensors]
    given: Tensors
    scores: Mapping[str, float]


@dataclass(frozen=True)
class Session:
    """What the trials of one study share inside a worker; references are computed when first needed.

    `lock` is held from loading an engine to closing it; where loads may be shared, exclusively only once the
    engine is loaded.
    """

    backend: Backend
    workload: Workload
    workspace: Workspace
    policy: Policy
    references: dict[tuple[int, int], Reference] = field(default_factory=dict)
    lock: DeviceLock = field(default_factory=DeviceLock)

    def reference(self, batch: int, case: int = 0) -> Reference:
        """Return the inputs and reference outputs for a batch at the shapes of a case."""
        if (batch, case) not in self.references:
            self.references[batch, case] = self._reference(batch, case)
        return self.references[batch, case]

    def _reference(self, batch: int, case: int) -> Reference:
        check_calibration(self.workload)
        inputs = make_inputs(self.workload, batch, case)
        outputs = self._outputs(batch, case, inputs)
        given = task_metrics.given_to_metrics(self.workload, inputs) if self.workload.metrics else {}
        scores = task_metrics.reference_scores(self.workload, given, outputs)
        return Reference(batch, inputs, outputs, given, scores)

    def _outputs(self, batch: int, case: int, inputs: list[Tensors]) -> list[Tensors]:
        """Return the reference outputs: the user's, those that an earlier worker saved, or computed now."""
        if self.workload.expected is not None:
            return read_reference(self.workload, batch, len(inputs))
        backend = self.backend
        if isinstance(backend, MakesReference):
            run = backend.reference
            makers: Mapping[str, str] = {"backend": backend.name, **backend.machine().libraries}
        else:
            run, makers = references.run, references.makers()
        file = references.reference_file(self.workspace.caches, self.workload, batch, makers, case)
        found = references.load(file)
        if found is None or len(found) != len(inputs):
            found = run(self.workload, inputs)
            references.save(file, found)
        return found
