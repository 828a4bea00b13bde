"""How `tuner measure` measures, by itself and like trtexec."""

import math
import re
from pathlib import Path
from typing import Any

import pytest

from engines.core.errors import UserError
from engines.core.values import Policy
from tuner.bundles.base import EngineFile
from tuner.bundles.engine_files import find_engine
from tuner.options.measure import MeasureOptions
from tuner.workflows.measure import plan


def settled(path: Path, **options: Any) -> tuple[EngineFile, Policy]:
    return plan(MeasureOptions(path, **options))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"warm_up": -1.0}, "--warm-up must be zero or more, not -1"),
        ({"warm_up": math.nan}, "--warm-up must be zero or more, not nan"),
        ({"warm_up": math.inf}, "--warm-up must be zero or more and finite, not inf"),
        ({"duration": 0.0}, "--duration must be more than zero, not 0"),
        ({"duration": math.inf}, "--duration must be more than zero and finite, not inf"),
        ({"streams": 1.5}, "--streams must be a whole number, not 1.5"),
    ],
)
def test_invalid_times_and_numbers_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=re.escape(said)):
        MeasureOptions(Path("engine"), **options)


def test_a_warm_up_of_nothing_is_one() -> None:
    assert MeasureOptions(Path("engine"), warm_up=0.0).warm_up == 0


@pytest.mark.parametrize(
    ("major", "graph", "transfers", "spins"), [(10, False, True, False), (11, True, False, True)]
)
def test_defaults_are_those_of_the_version(
    exported: Path, major: int, graph: bool, transfers: bool, spins: bool
) -> None:
    engine, policy = settled(exported, like_trtexec=major)
    assert (engine.run["cuda_graph"], engine.run["streams"]) == (graph, 1)
    assert (policy.transfers, policy.spin_wait, policy.parts) == (transfers, spins, True)
    assert policy.block_seconds == policy.maximum_seconds == policy.minimum_seconds == 3.0


def test_given_options_override_trtexec_defaults(exported: Path) -> None:
    asked = {
        "streams": 4,
        "cuda_graph": True,
        "transfers": False,
        "iterations": 7,
        "warm_up": 1.0,
        "duration": 2.0,
    }
    engine, policy = settled(exported, like_trtexec=10, **asked)
    assert (engine.run["cuda_graph"], engine.run["streams"]) == (True, 4)
    assert (policy.transfers, policy.minimum_inferences, policy.warmup_seconds) == (False, 28, 1.0)
    assert policy.block_seconds == policy.maximum_seconds == policy.minimum_seconds == 2.0


def test_without_trtexec_measuring_is_as_in_a_search(exported: Path) -> None:
    assert settled(exported)[1] == Policy()


def test_a_short_duration_still_has_blocks_for_an_interval(exported: Path) -> None:
    _, policy = settled(exported, duration=0.05)
    assert policy.maximum_seconds == policy.minimum_seconds == 0.05
    assert policy.block_seconds == pytest.approx(0.01)


def test_cold_and_transfers_are_asked_for(exported: Path) -> None:
    _, policy = settled(exported, cold=True, transfers=True)
    assert policy.cold
    assert policy.transfers


def test_a_plan_runs_on_the_tensorrt_that_is_installed(tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed")
    (tmp_path / "net.engine").write_bytes(b"a plan")
    engine, _ = settled(tmp_path / "net.engine")
    assert "tensorrt-rtx" in engine.backends
    assert engine.run == {"streams": 1, "cuda_graph": False, "kernel_specialization": "eager"}


def test_like_trtexec_a_plan_that_cannot_be_captured_is_run_all_the_same(tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="tensorrt-rtx is not installed")
    (tmp_path / "net.plan").write_bytes(b"a plan")
    plain = settled(tmp_path / "net.plan", backend="tensorrt-rtx:device=1")[0]
    like = settled(tmp_path / "net.plan", backend="tensorrt-rtx:device=1", like_trtexec=11)[0]
    assert plain.options == {"device": 1}
    assert like.options == {"device": 1, "graph_fallback": True}


def test_a_named_backend_runs_a_file_of_any_name(tmp_path: Path) -> None:
    (tmp_path / "model_1").write_bytes(b"a plan")
    assert find_engine(tmp_path / "model_1", "tensorrt").backends == ("tensorrt",)
