from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from engines.backends.registry import Backend, open_backend
from engines.backends.replay.backend import Replay
from engines.core.errors import EngineError
from engines.core.values import Dimension, Settings, Workload
from engines.landscapes.file import Landscape, Made, save
from engines.trials.session import Session
from studies.core.space import baseline_of
from tests import landscapes
from tests.contracts.backend import BackendContract, _open

DIMENSIONS = (
    Dimension("precision", "graph", ("fp32", "fp16"), "fp32", "numeric type"),
    Dimension("effort", "build", (0, 1), 0, "effort of the builder"),
    Dimension("streams", "run", (1, 2), 1, "inferences at a time"),
    Dimension("batch", "run", (2, 4), 2, "samples in one inference"),
)


def _landscape(workload: Workload) -> Landscape:
    """Every candidate of the space, each measured once."""
    points = tuple(product(range(2), repeat=len(DIMENSIONS)))
    runs = [
        replace(landscapes.run(index, 0, 1.0 + index / 10, error=1e-6), graph=graph, engine=2 * graph + build)
        for index, (graph, build, *_) in enumerate(points)
    ]
    graphs = (Made(workload.model.digest, 100, 0.0), Made("half", 5000, 7.0))
    engines = tuple(Made(str(number), 1000 + number, 9.0) for number in range(4))
    found = landscapes.landscape(workload, runs)
    return replace(
        found,
        dimensions=DIMENSIONS,
        baseline=baseline_of(DIMENSIONS),
        points=points,
        graphs=graphs,
        engines=engines,
    )


class TestReplay(BackendContract):
    name = Replay.name

    @pytest.fixture
    def backend(self, workload: Workload, tmp_path: Path) -> Backend:
        file = tmp_path / "l.json.gz"
        save(file, _landscape(workload))
        return open_backend(self.name, Settings(landscape=str(file)), tmp_path)

    def test_a_cold_block_runs_one_inference_at_a_time(self, session: Session) -> None:
        """None is recorded, so none is made up."""
        runner, _ = _open(session)
        with pytest.raises(EngineError, match="not recorded"):
            runner.block(0.02, cold=True)
