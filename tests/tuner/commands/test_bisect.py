"""The command `tuner bisect`: the nodes that a failing trial must keep in FP32."""

import re
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tuner
from engines.core.errors import UserError
from engines.core.results import Evaluation, Failure
from engines.core.values import Settings, TaskMetric
from examples import models
from studies.core.records import Constraint
from studies.storage.storage import open_storage
from tests.command import Command, Ended, start
from tests.records import candidate, failed, measured, record, study_spec
from tests.troublesome import children_of, is_running, wait_until
from tests.workloads import QUICK, file_at
from tuner.workflows import bisect as bisecting

RANDOM = np.random.default_rng(0)
INT8: dict[str, Any] = {
    "precision": "int8",
    "shapes": "images:1x3x64x64",
    "fix": (
        "calibration=minmax",
        "keep_fp32=0",
        "simplify=none",
        "graph_optimization_level=all",
        "execution_mode=sequential",
        "allow_spinning=false",
        "intra_op_threads=1",
    ),
}


def _searched(folder: Path, study: str, **options: Any) -> tuner.Result:
    return tuner.search(
        folder / "residual_cnn.onnx",
        study=study,
        backend="onnxruntime",
        workspace=folder / "w",
        policy=QUICK,
        self_test=0,
        finalists=0,
        trials=2,
        **INT8,
        **options,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model and a workspace in which trial 1 of the study `strict` is in int8 and beyond its limit, and
    that of `loose` is not.
    """
    folder = tmp_path_factory.mktemp("bisect")
    models.save("residual_cnn", folder)
    assert [one.state for one in _searched(folder, "strict").study.trials] == ["feasible", "infeasible"]
    loose = _searched(folder, "loose", constraints="error<=0.05")
    assert [one.state for one in loose.study.trials] == ["feasible", "feasible"]
    return folder


@pytest.fixture
def bisect(command: Command, folder: Path) -> Command:
    def run(*arguments: object) -> Ended:
        return command("bisect", *arguments, "--workspace", folder / "w")

    return run


def _nodes_in(out: str) -> list[str]:
    return [line.strip() for line in out.splitlines() if line.startswith("  ")]


# what is found


def test_the_nodes_are_enough_and_none_of_them_can_be_left_out(bisect: Command, folder: Path) -> None:
    ended = bisect(1, "strict")
    assert ended.code == 0
    nodes = [line.strip() for line in ended.out.splitlines() if line.startswith("  ")]
    assert ended.out.startswith(f"Trial 1 is within error<=0.01 with {len(nodes)} node")
    attempts = [line for line in ended.err.splitlines() if line.startswith("note: ")]
    assert re.fullmatch(r"note: 0 nodes kept: error 0\.\d+, beyond the limits", attempts[0])
    assert f"None of them can be left out. {len(attempts)} engines tried." in ended.out
    advice = shlex.split(ended.out.splitlines()[-1].partition("search ... ")[2])
    assert advice == ["--precision", "int8", *chain(*(("--keep-fp32", node) for node in nodes))]
    assert _searched(folder, "all", keep_fp32=nodes).study.trials[1].state == "feasible"
    fewer = _searched(folder, "fewer", keep_fp32=nodes[1:])
    assert fewer.study.trials[1].state == "infeasible"


def test_the_document_has_every_attempt_and_the_study_is_as_it_was(bisect: Command, folder: Path) -> None:
    ended = bisect(1, "strict", "--json", "-q")
    assert ended.err == ""
    document = ended.document
    assert (document["schema"], document["study"], document["trial"]) == (1, "strict", 1)
    assert document["limits"] == ["error<=0.01"]
    assert document["lowerable"] == 18
    first, *others = document["attempts"]
    assert (first["kept"], first["right"], first["failure"]) == ([], False, None)
    assert first["error"] > 0.01 >= document["error"]
    kept = [one for one in others if one["kept"] == document["nodes"]]
    assert [one["right"] for one in kept] == [True]
    assert len({frozenset(one["kept"]) for one in document["attempts"]}) == len(document["attempts"])
    assert len(tuner.load_study("strict", workspace=folder / "w").study.trials) == 2


def test_a_trial_that_is_within_its_limits_needs_nothing(bisect: Command) -> None:
    ended = bisect(1, "loose")
    assert (ended.code, ended.out) == (0, "Trial 1 is within error<=0.05 with nothing kept in FP32.\n")


def test_limits_that_no_nodes_can_meet_are_said_to_be_missed_for_another_reason(
    command: Command, searched: Path
) -> None:
    """The imaginary machine's errors are the same whatever the graph; the workspace is another one."""
    trials = tuner.load_study("net", workspace=searched).study.trials
    wrong = next(one for one in trials if one.state == "infeasible")
    where = (wrong.number, "net", "--storage", searched / "studies.db", "--workspace", "another")
    ended = command("bisect", *where)
    assert ended.code == 3
    assert ended.out.startswith(
        f"No set of the 2 nodes that can be lowered brings trial {wrong.number} within error<=0.01, not even "
        "all of them (3 engines tried): the fault lies elsewhere."
    )
    document = command("bisect", *where, "--json", "-q").document
    assert (document["nodes"], document["error"], len(document["attempts"])) == (None, None, 3)


# what cannot be asked


def test_a_trial_in_fp32_has_nothing_to_keep(bisect: Command) -> None:
    assert bisect(0, "strict", "-q").complaint == (
        "trial 0 is in fp32, so no node of it was lowered. Name a trial in fp16, bf16, int8, fp8 or int4."
    )


def test_trial_that_failed_to_build_cannot_be_bisected(command: Command, searched: Path) -> None:
    trials = tuner.load_study("net", workspace=searched).study.trials
    refused = next(one for one in trials if one.failure and one.failure.stage == "build")
    assert refused.failure is not None
    assert command("bisect", refused.number, "net", "--workspace", searched, "-q").complaint == (
        f"trial {refused.number} failed before its outputs could be checked: {refused.failure.message}. "
        "Bisecting is for engines whose outputs are wrong."
    )


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((9, "strict"), "the study 'strict' has no trial 9. It has trials 0 to 1."),
        ((1, "gone"), "there is no study 'gone'"),
        (("first",), "invalid value for 'TRIAL': 'first' is not a valid integer"),
        ((), "missing argument 'TRIAL'"),
    ],
)
def test_user_mistake_is_one_line(bisect: Command, arguments: tuple[object, ...], complaint: str) -> None:
    assert bisect(*arguments).complaint.startswith(complaint)


def test_a_model_that_was_changed_since_is_taken_from_the_workspace_or_refused(
    bisect: Command, folder: Path
) -> None:
    file, kept = folder / "residual_cnn.onnx", folder / "w" / "files"
    shutil.move(file, folder / "before.onnx")
    try:
        models.save("mlp", folder).rename(file)
        from_the_copy = bisect(1, "strict", "-q")
        shutil.move(kept, folder / "hidden")
        said = bisect(1, "strict", "-q").complaint
        file.unlink()
        missing = bisect(1, "strict", "-q").complaint
    finally:
        shutil.move(folder / "before.onnx", file)
        shutil.rmtree(kept)
        shutil.move(folder / "hidden", kept)
    assert from_the_copy.code == 0
    assert said.startswith(f"{file} is not the model that the study is about any more, which has the sha256 ")
    assert missing.startswith("the model 'residual_cnn.onnx' of sha256 ")
    assert f" is not where it was ({file}), nor in or beside the workspace" in missing


@pytest.mark.parametrize("precision", ["fp16", "int4", "weak_int8_fp16", "weak_best"])
def test_every_lowered_precision_can_be_bisected(precision: str) -> None:
    spec = study_spec()
    chosen = replace(candidate("int8", "all", 1, False), graph=Settings(precision=precision))
    bisecting._require_lowered(record(spec, 3, measured(chosen, RANDOM, error=0.2)))
    bisecting._require_lowered(record(spec, 3, failed(chosen, "check", "not_finite", "NaN")))
    with pytest.raises(UserError, match="failed before its outputs could be checked: it hangs"):
        bisecting._require_lowered(record(spec, 3, failed(chosen, "build", "timeout", "it hangs")))


# how it is judged


def test_only_accuracy_constraints_count() -> None:
    spec = study_spec(constraints=["latency_ms<=1", "error<=0.5"])
    assert bisecting.accuracy_limits(spec) == (Constraint("error", "<=", 0.5),)
    timed = replace(spec, constraints=spec.constraints[:1])
    assert bisecting.accuracy_limits(timed) == (Constraint("error", "<=", 0.01),)
    own = TaskMetric("accuracy", "task:accuracy", "maximize", file_at("/here", "ab"))
    limit = Constraint("accuracy", ">=", 0.97)
    tasked = replace(timed, workload=replace(spec.workload, metrics=(own,)), constraints=(limit,))
    assert bisecting.accuracy_limits(tasked) == (limit,)


def test_engine_that_cannot_be_built_counts_as_wrong() -> None:
    chosen = candidate("int8", "all", 1, False)
    evaluation = Evaluation(chosen, failure=Failure("check", "not_finite", "the output y has 3 NaN"))
    attempt = bisecting._judged(("a", "b"), evaluation, (Constraint("error", "<=", 0.01),))
    assert (attempt.right, attempt.error) == (False, None)
    assert bisecting.attempt_line(attempt) == "2 nodes kept: the output y has 3 NaN, beyond the limits"


def test_an_engine_is_right_when_it_is_within_the_limits() -> None:
    chosen = candidate("int8", "all", 1, False)
    found = measured(chosen, RANDOM, error=0.2)
    limit = Constraint("error", "<=", 0.01)
    assert not bisecting._judged((), found, (limit,)).right
    assert bisecting._judged((), measured(chosen, RANDOM, error=0.002), (limit,)).right


def test_the_trials_own_count_of_nodes_is_set_aside() -> None:
    chosen = replace(candidate("int8", "all", 1, False), graph=Settings(precision="int8", keep_fp32=4))
    kept = bisecting.keeping(chosen, ("a[0]", "b c"))
    assert kept.graph == Settings(precision="int8", kept_nodes="a[0]\nb c")
    assert (kept.build, kept.run) == (chosen.build, chosen.run)


# Ctrl-C


@pytest.fixture
def running(searched: Path, tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A bisection whose first attempt takes ten minutes, as soon as it has a worker."""
    study = tuner.load_study("net", workspace=searched).study
    wrong = next(one for one in study.trials if one.state == "infeasible")
    slow = replace(study.spec, backend_options=Settings(trial_seconds=600))
    with open_storage(str(tmp_path / "studies.db")) as storage:
        storage.create_study("slow", slow, {})
        storage.add_trial(
            "slow",
            0,
            "key",
            wrong.evaluation,
            started_at=wrong.started_at,
            seconds=1.0,
            reused=False,
            log="",
        )
    process = start("bisect", 0, "slow", "--workspace", ".", cwd=tmp_path)
    wait_until(lambda: children_of(process.pid))
    yield process
    process.kill()
    process.communicate()


def test_ctrl_c_leaves_no_process(running: "subprocess.Popen[str]") -> None:
    children = children_of(running.pid)
    assert children
    running.send_signal(signal.SIGINT)
    out, said = running.communicate(timeout=30)
    assert (running.returncode, out, said) == (130, "", "error: interrupted\n")
    wait_until(lambda: not any(map(is_running, children)))
