"""Ask a worker what only a vendor's library can answer."""

from collections.abc import Callable
from pathlib import Path

from engines.artifacts.workspace import Workspace
from engines.core.results import NodeError
from engines.core.values import Settings, Stage, Workload
from engines.machine import gpu
from engines.machine.conditions import Condition
from engines.worker.client import Worker
from engines.worker.protocol import FindGpu, GpuFound, GpuSeen, LookAtGpu, NodesRanked, RankNodes

# NVML answers in milliseconds, and CUDA in a second or two
GPU_SECONDS = 60.0
# for what is done before the first sign of progress
RANKING_SECONDS = 1800.0


def rank_nodes(
    worker: Worker,
    workload: Workload,
    settings: Settings,
    caches: Path,
    report: Callable[[str], None],
    hint: str,
) -> tuple[NodeError, ...]:
    """Ranks the nodes that the settings would lower, the most hurtful first; raises UserError.

    `report` is told what is being done, and `hint` is what to do where nothing better is known.
    """

    def on_progress(_: Stage, detail: str) -> None:
        if detail:
            report(detail)

    request = RankNodes(workload, settings, str(caches.resolve()), hint)
    found = worker.answer(request, "ranking the nodes", RANKING_SECONDS, on_progress, hint)
    assert isinstance(found, NodesRanked)
    rows = zip(found.nodes, found.operators, found.errors, strict=True)
    return tuple(NodeError(node, operator, float(error)) for node, operator, error in rows)


def has_gpu(workspace: Workspace) -> bool:
    """Return whether there is a usable NVIDIA GPU, asking a worker if there may be one; raises UserError."""
    if not gpu.may_have_gpu():
        return False
    with Worker(None, workspace, "-gpu") as worker:
        found = worker.answer(
            FindGpu(), "looking for a GPU", GPU_SECONDS, hint="Name a backend, such as --backend onnxruntime."
        )
    assert isinstance(found, GpuFound)
    return found.there


def gpu_conditions(workspace: Workspace, index: int) -> tuple[Condition, ...]:
    """Check how the GPU with this CUDA index is set up, and who else uses it; raises UserError."""
    with Worker(None, workspace, "-gpu") as worker:
        found = worker.answer(
            LookAtGpu(index), f"looking at GPU {index}", GPU_SECONDS, hint="Check nvidia-smi."
        )
    assert isinstance(found, GpuSeen)
    return found.conditions
