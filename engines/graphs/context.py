"""What a graph is made of, which decides all that is computed for it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engines.core.values import Settings, Workload
from engines.core.wire import digest
from engines.data.calibration import calibration_identity
from engines.graphs.dimensions import CALIBRATED

Detail = Callable[[str], None]

# part of a graph's name: to be raised when the same model would be made into another graph
RECIPE = 6
# a setting outside of every space, with which `tuner bisect` names nodes, a line each
KEPT_NODES = "kept_nodes"


@dataclass(frozen=True)
class GraphContext:
    """What a graph is made of, and where what was computed for it is kept."""

    workload: Workload
    settings: Settings
    caches: Path
    report: Detail

    @property
    def precision(self) -> str:
        return str(self.settings["precision"])

    @property
    def keeps_some(self) -> bool:
        """Whether any node may have to stay in FP32."""
        return bool(self.workload.keep_fp32) or any(map(self.settings.get, ("keep_fp32", KEPT_NODES)))

    def is_at(self, name: str, value: str) -> bool:
        return self.settings.get(name, value) == value

    def key(self, precision: str) -> str:
        """Names what is computed for a precision of this very model and data."""
        import onnxruntime as ort

        workload, settings = self.workload, self.settings
        method = settings.get("calibration") if precision in CALIBRATED else None
        source = calibration_identity(workload)
        made = [workload.model.digest, workload.override_shapes, settings.get("simplify")]
        return digest(RECIPE, ort.__version__, made, precision, method, source)
