from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engines.artifacts.workspace import Workspace
from engines.backends.registry import BACKENDS, open_backend
from engines.backends.replay.backend import Replay
from engines.backends.replay.runner import UNKNOWN_SECONDS
from engines.core.errors import EngineError, UserError
from engines.core.results import Evaluation, FailureKind
from engines.core.values import Candidate, Settings, Stage, Value
from engines.landscapes.file import Run, save
from engines.statistics.estimates import latency, median
from engines.trials.evaluation import evaluate
from engines.trials.session import Session
from tests import landscapes
from tests.landscapes import BASELINE, BUILD_SECONDS, GRAPH_SECONDS, SPREAD, failing, run
from tests.workloads import QUICK

EVERY = [
    *(run(of, 0, value) for of, value in enumerate((4.0, 2.0, 1.9))),
    failing(3, "build", 11.0, "out_of_memory", graph=1),
    failing(4, "graph", 5.0),
]


class Replayed:
    """A landscape of these runs, opened."""

    def __init__(self, folder: Path, runs: Sequence[Run], **options: Value) -> None:
        self.workload = landscapes.workload(folder)
        self.file = folder / "l.json.gz"
        save(self.file, landscapes.landscape(self.workload, runs))
        self.workspace = Workspace(folder / "workspace").create()
        self.options = Settings(options, landscape=str(self.file))
        self.backend = open_backend("replay", self.options, self.workspace.caches)
        self.session = Session(self.backend, self.workload, self.workspace, QUICK)

    def evaluate(self, precision: str = "fp32", effort: int = 0, streams: int = 1) -> Evaluation:
        candidate = Candidate(
            Settings(precision=precision), Settings(effort=effort), Settings(streams=streams)
        )
        return evaluate(self.session, candidate, lambda *_: None)


@pytest.fixture
def replayed(tmp_path: Path) -> Replayed:
    return Replayed(tmp_path, EVERY)


def _median(evaluation: Evaluation) -> float:
    assert evaluation.measurement is not None, evaluation.failure
    return latency(evaluation.measurement, median).value


def test_it_is_in_the_table_and_never_chosen_by_itself(replayed: Replayed) -> None:
    assert replayed.backend.name == Replay.name == "replay"
    assert not BACKENDS["replay"].automatic


def test_machine_and_space_are_those_recorded(replayed: Replayed) -> None:
    machine = replayed.backend.machine()
    assert machine.processor == "A CPU"
    assert set(machine.libraries) == {"onnxruntime", "replay"}
    assert replayed.backend.dimensions(replayed.workload, concurrent=True) == landscapes.DIMENSIONS
    assert "l.json.gz" in replayed.backend.warnings()[0]


def test_another_landscape_is_another_machine(tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
    one, other = Replayed(folders[0], EVERY), Replayed(folders[1], EVERY[:-1])
    assert one.backend.machine() != other.backend.machine()


def test_values_and_errors_are_those_recorded(replayed: Replayed) -> None:
    for settings, value in ((("fp32",), 4.0), (("fp16",), 2.0), (("fp16", 0, 2), 1.9)):
        found = replayed.evaluate(*settings)
        assert _median(found) == pytest.approx(value)
        assert found.accuracy is not None
        assert found.accuracy.error == pytest.approx(1e-3, rel=1e-6)
        assert found.accuracy.outputs[0].name == "y"


@pytest.mark.parametrize("error", [0.0, 1e-7, 1e-3, 0.3, 1.0, 7.0])
@pytest.mark.parametrize("cosine", [None, 1.0, 0.999, 0.5, -0.2])
def test_any_error_is_met_and_the_cosine_where_both_can_be(
    error: float, cosine: float | None, tmp_path: Path
) -> None:
    made = run(0, 0, 4.0)
    output = replace(made.outputs[0], relative_l2=error, cosine=cosine)
    found = Replayed(tmp_path, [replace(made, outputs=(output,))]).evaluate().accuracy
    assert found is not None
    assert found.error == pytest.approx(error, rel=1e-6, abs=1e-12)
    possible = cosine is not None and cosine**2 >= 1 - error**2 and cosine > 0
    if possible:
        assert found.outputs[0].cosine == pytest.approx(cosine)


def test_build_time_is_replayed_once_and_zero_when_reused(replayed: Replayed) -> None:
    first, sibling = replayed.evaluate("fp16"), replayed.evaluate("fp16", 0, 2)
    assert first.stage_seconds["graph"] == pytest.approx(GRAPH_SECONDS)
    assert first.stage_seconds["build"] == pytest.approx(BUILD_SECONDS)
    assert first.stage_seconds["load"] == pytest.approx(3.0)
    assert first.stage_seconds["check"] == pytest.approx(0.5)
    assert (sibling.stage_seconds["graph"], sibling.stage_seconds["build"]) == (0, 0)
    assert sibling.engine is not None
    assert sibling.engine.reused


def test_the_time_of_measuring_is_that_of_the_blocks(replayed: Replayed) -> None:
    found = replayed.evaluate()
    assert found.measurement is not None
    spans = sum(block.span_seconds for block in found.measurement.blocks)
    assert found.stage_seconds["measure"] == pytest.approx(spans)


def test_graphs_and_engines_have_the_size_and_facts_recorded(replayed: Replayed) -> None:
    found = replayed.evaluate("fp16")
    assert found.graph is not None
    assert found.engine is not None
    assert (found.graph.size_bytes, found.engine.size_bytes) == (5000, 70_000)
    assert found.graph.facts["kept_fp32"] == "classify"
    assert found.engine.facts["layers"] == 3


def test_the_model_itself_is_no_graph_to_be_made(replayed: Replayed) -> None:
    found = replayed.evaluate()
    assert found.graph is not None
    assert found.graph.digest == replayed.workload.model.digest


def test_failures_happen_where_and_as_they_did_and_take_as_long(replayed: Replayed) -> None:
    build, graph = replayed.evaluate("fp16", 1), replayed.evaluate("int8")
    assert build.failure is not None
    assert (build.failure.stage, build.failure.kind) == ("build", "out_of_memory")
    assert build.failure.message == "it broke in build"
    assert build.stage_seconds["build"] == pytest.approx(11.0)
    assert graph.failure is not None
    assert graph.failure.stage == "graph"
    assert graph.stage_seconds["graph"] == pytest.approx(5.0)


@pytest.mark.parametrize("stage", ["load", "check", "warm-up", "measure"])
@pytest.mark.parametrize("kind", ["refused", "crashed"])
def test_an_engine_that_failed_later_fails_there_again(
    stage: Stage, kind: FailureKind, tmp_path: Path
) -> None:
    broken = replace(failing(0, stage, 2.0, kind, graph=0), engine=0)
    found = Replayed(tmp_path, [broken, run(1, 0, 2.0)]).evaluate()
    assert found.failure is not None
    assert (found.failure.stage, found.failure.kind) == (stage, kind)


def test_an_engine_that_was_wrong_after_timing_is_so_again(tmp_path: Path) -> None:
    broken = replace(failing(0, "check", 2.0, "not_finite", graph=0), engine=0)
    late = replace(broken, seconds={"check": 2.0, "measure": 1.0})
    found = Replayed(tmp_path, [late]).evaluate()
    assert found.failure is not None
    assert found.failure.stage == "check"
    assert found.stage_seconds["measure"] >= UNKNOWN_SECONDS


@pytest.mark.parametrize(
    ("settings", "stage"), [(("bf16",), "graph"), (("fp32", 1), "build"), (("fp32", 0, 2), "load")]
)
def test_unrecorded_candidate_is_refused_at_its_first_new_stage(
    settings: tuple[str, int, int], stage: str, replayed: Replayed
) -> None:
    failure = replayed.evaluate(*settings).failure
    assert failure is not None
    assert (failure.stage, failure.kind) == (stage, "refused")
    assert "recorded" in failure.message


def test_each_opening_is_one_of_the_runs_and_the_seed_says_which(tmp_path: Path) -> None:
    values = (4.0, 4.4, 4.8)
    found = []
    for name, seed in (("one", 1), ("same", 1), ("other", 2)):
        (tmp_path / name).mkdir()
        opened = Replayed(
            tmp_path / name, [run(0, turn, value) for turn, value in enumerate(values)], seed=seed
        )
        found.append([round(_median(opened.evaluate()), 6) for _ in range(12)])
    assert set(found[0]) == set(values)
    assert found[0] == found[1] != found[2]


def test_blocks_are_drawn_from_the_run_and_keep_its_shape(tmp_path: Path) -> None:
    made = run(0, 0, 4.0, 4.4, shape=SPREAD)
    measurement = Replayed(tmp_path, [made]).evaluate().measurement
    assert measurement is not None
    medians = {round(float(np.median(block.latency_ms)), 6) for block in measurement.blocks}
    assert medians == {4.0, 4.4}
    assert max(block.latency_ms.max() for block in measurement.blocks) <= 4.4 * 1.5 / 0.9


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({}, "needs a landscape"),
        ({"landscape": "none.json.gz"}, "no such file"),
        ({"landscape": "l", "colour": "red"}, "no option 'colour'"),
        ({"landscape": "l", "seed": "x"}, "seed of the backend replay is a whole number"),
    ],
)
def test_wrong_options_are_the_users_mistake(
    options: dict[str, Value], complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=complaint):
        open_backend("replay", Settings(options), tmp_path)


def test_an_engine_is_opened_with_the_run_settings_of_a_search_and_no_others(replayed: Replayed) -> None:
    assert replayed.evaluate().failure is None
    (folder,) = replayed.workspace.engines.iterdir()
    with pytest.raises(EngineError, match="only a search can open it") as refused:
        replayed.backend.open(folder, replayed.workload, Settings(BASELINE.settings), {}, QUICK)
    assert "the backend fake, which was recorded" in refused.value.hint


def test_cold_inferences_are_refused_where_none_were_recorded(replayed: Replayed) -> None:
    session = replace(replayed.session, policy=replace(QUICK, cold=True))
    found = evaluate(session, BASELINE, lambda *_: None)
    assert found.failure is not None
    assert "caches flushed" in found.failure.message
