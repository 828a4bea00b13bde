"""Graphs made as a backend has them made."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import onnx
from onnx import ModelProto

from engines.core.values import Dimension, Settings, Value, Workload
from engines.data.inputs import make_inputs
from engines.graphs import recipe
from engines.graphs.context import GraphContext
from engines.graphs.dimensions import Target
from engines.graphs.recipe import GraphRecipe
from tests.engines.graphs import running

ON_GPU = Target(("tf32", "fp32"), ("fp16", "bf16", "int8", "fp8", "int4"), high_precision=("fp16", "fp32"))
ON_CPU = Target(
    ("fp32",), ("int8", "int4"), excluded={"fp16": "no kernels"}, int8_by="onnxruntime", takes_modelopt=False
)
DEFAULTS = Settings(
    keep_fp32=0, calibration="minmax", high_precision="fp32", converter="builtin", simplify="none"
)
# said once each time
RANKING, CALIBRATING = "loading the model", "calibrating"


@dataclass(frozen=True)
class Maker:
    """Makes graphs of one workload as a backend would, and notes what it was told meanwhile."""

    folder: Path
    workload: Workload
    said: list[str] = field(default_factory=list)

    def graph(
        self, precision: str, target: Target = ON_GPU, /, **settings: Value
    ) -> tuple[ModelProto, frozenset[str]]:
        """The graph, and the names of the nodes that it says were kept."""
        self.said.clear()
        chosen = Settings(DEFAULTS, precision=precision, **settings)
        file, caches = self.folder / "made" / "graph.onnx", self.folder / "caches"
        for folder in (file.parent, caches):
            folder.mkdir(exist_ok=True)
        facts = GraphRecipe(target, self.workload, caches).make(chosen, file, self.said.append)
        assert [path.name for path in file.parent.iterdir()] == [file.name], "nothing else is left"
        return onnx.load(file), frozenset(str(facts.get("kept_fp32", "")).split())

    def key(self, precision: str, target: Target = ON_GPU, /, **settings: Value) -> object:
        chosen = Settings(DEFAULTS, precision=precision, **settings)
        return GraphRecipe(target, self.workload, self.folder / "caches").key(chosen)

    def ranked(self, precision: str, **settings: Value) -> list[str]:
        chosen = Settings(DEFAULTS, precision=precision, **settings)
        context = GraphContext(self.workload, chosen, self.folder / "caches", self.said.append)
        (self.folder / "caches").mkdir(exist_ok=True)
        return [one.node for one in recipe.ranking(context, recipe.prepared(context))]

    def error(self, graph: ModelProto) -> float:
        """How far its outputs are from the model's."""
        feeds = make_inputs(self.workload, self.workload.plan.batch)[0]
        return running.relative_error(
            running.run(graph, feeds), running.run(onnx.load(self.workload.model.file.where), feeds)
        )

    def having(self, **changes: object) -> "Maker":
        return Maker(self.folder, replace(self.workload, **changes))  # type: ignore[arg-type]


def by_name(dimensions: tuple[Dimension, ...]) -> dict[str, Dimension]:
    return {dimension.name: dimension for dimension in dimensions}
