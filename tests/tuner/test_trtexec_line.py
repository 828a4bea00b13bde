"""`tuner show --trial N --trtexec`: the line that reproduces a trial of TensorRT."""

import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engines.errors import UserError
from engines.values import (
    Artifact,
    Candidate,
    Dimension,
    Evaluation,
    Failure,
    InputSource,
    Machine,
    Policy,
    Settings,
    ShapeRange,
    TensorFacts,
    Value,
)
from engines.workspace import Workspace
from studies.records import StudyRecord, TrialRecord
from tests.command import Command
from tests.records import START, measured, record, study_spec
from tuner.trtexec_line import trtexec_lines

BUILD: Mapping[str, Value] = {
    "profile": "static",
    "builder_optimization_level": 3,
    "max_aux_streams": -1,
    "max_num_tactics": -1,
    "avg_timing_iterations": 1,
    "tiling_optimization_level": "NONE",
    "tactic_sources": "EDGE_MASK_CONVOLUTIONS+JIT_CONVOLUTIONS",
    "workspace_mib": 0,
    "hardware_compatibility_level": "NONE",
    "l2_limit_for_tiling": -1,
    "tactic_dram_mib": 0,
    "tactic_shared_memory_kib": 0,
    "sparse_weights": False,
    "refit": False,
    "version_compatible": False,
    "weight_streaming": False,
    "direct_io": False,
    "disable_compilation_cache": False,
    "distributive_independence": False,
    "strict_nans": False,
    "preview_profile_sharing_0806": True,
    "preview_aliased_plugin_io_10_03": False,
    "preview_runtime_activation_resize_10_10": False,
    "native_instancenorm": True,
    "enable_plugin_override": False,
}
RUN: Mapping[str, Value] = {"cuda_graph": False, "streams": 1, "batch": 8}
GRAPH = Artifact("f" * 32, 1000, 0.1, reused=False)


def study(version: str = "10.13.2.6", backend: str = "tensorrt", **spec: Any) -> StudyRecord:
    """A study of images of batch x 3 x 32 x 32 at a batch of 8."""
    plain = study_spec()
    package = backend.replace("-", "_")
    machine = Machine("gpu", "H200", 132, 1, "Linux", libraries={package: version})
    kinds = {"precision": "graph", **dict.fromkeys(BUILD, "build"), **dict.fromkeys(RUN, "run")}
    defaults = {"precision": "tf32", **BUILD, **RUN}
    space = tuple(
        Dimension(name, kind, (defaults[name],), defaults[name], "")  # type: ignore[arg-type]
        for name, kind in kinds.items()
    )
    spec = {"backend": backend, "machine": machine, "space": space, **spec}
    return StudyRecord("net", replace(plain, **spec), (), START)


def trial(
    of: StudyRecord, precision: str = "tf32", graph: Artifact | None = None, **changes: Value
) -> TrialRecord:
    """A trial of the baseline but for what is changed."""
    unknown = set(changes) - {*BUILD, *RUN, "kernel_specialization", "new_dimension"}
    assert not unknown
    run = {name: value for name, value in changes.items() if name not in BUILD}
    build = {name: value for name, value in changes.items() if name in BUILD}
    candidate = Candidate(
        Settings(precision=precision), Settings({**BUILD, **build}), Settings({**RUN, **run})
    )
    model = Artifact(of.spec.workload.model.digest, 1000, 0.0, reused=True)
    made = measured(candidate, np.random.default_rng(0), latency_ms=1.0, error=0.0)
    return record(of.spec, 7, replace(made, graph=graph or model))


def lines(of: StudyRecord, folder: Path = Path(".tuner"), **changes: Any) -> list[str]:
    return trtexec_lines(of, trial(of, **changes), Workspace(folder))


def words(of: StudyRecord, **changes: Any) -> set[str]:
    """The line's words that the baseline's line does not have."""
    return {*shlex.split(lines(of, **changes)[0])} - {*shlex.split(lines(of)[0])}


def test_the_baseline_of_version_10_says_all_that_trtexec_does_otherwise() -> None:
    assert shlex.split(lines(study())[0]) == [
        "trtexec",
        "--onnx=/models/resnet-tiny.onnx",
        "--stronglyTyped",
        "--minShapes=image:8x3x32x32",
        "--optShapes=image:8x3x32x32",
        "--maxShapes=image:8x3x32x32",
        "--shapes=image:8x3x32x32",
        "--avgTiming=1",
        "--builderOptimizationLevel=3",
        "--profilingVerbosity=detailed",
        "--noDataTransfers",
        "--useSpinWait",
    ]


def test_the_baseline_of_version_11_has_the_flags_of_that_version() -> None:
    found = {*shlex.split(lines(study("11.4.0.106"))[0])}
    assert {"--noCudaGraph"} < found
    assert not {"--stronglyTyped", "--noDataTransfers", "--useSpinWait", "--useCudaGraph"} & found


def test_the_baseline_of_rtx_is_a_line_of_its_own_program() -> None:
    found = shlex.split(lines(study("1.6.1.120", "tensorrt-rtx"))[0])
    assert found[0] == "tensorrt_rtx"
    assert "--rtxCudaGraphStrategy=disable" in found
    assert not {"--stronglyTyped", "--noCudaGraph", "--noDataTransfers", "--useSpinWait"} & {*found}


SAID: list[tuple[Mapping[str, Value], set[str]]] = [
    ({"precision": "fp32"}, {"--noTF32"}),
    ({"builder_optimization_level": 5}, {"--builderOptimizationLevel=5"}),
    ({"max_aux_streams": 0}, {"--maxAuxStreams=0"}),
    ({"max_num_tactics": 8}, {"--maxTactics=8"}),
    ({"avg_timing_iterations": 4}, {"--avgTiming=4"}),
    ({"tiling_optimization_level": "FULL"}, {"--tilingOptimizationLevel=3"}),
    ({"l2_limit_for_tiling": 1048576}, {"--l2LimitForTiling=1048576"}),
    ({"tactic_sources": "JIT_CONVOLUTIONS"}, {"--tacticSources=-EDGE_MASK_CONVOLUTIONS"}),
    ({"tactic_sources": "none"}, {"--tacticSources=-EDGE_MASK_CONVOLUTIONS,-JIT_CONVOLUTIONS"}),
    (
        {"tactic_sources": "CUDNN+EDGE_MASK_CONVOLUTIONS"},
        {"--tacticSources=+CUDNN,-JIT_CONVOLUTIONS"},
    ),
    ({"workspace_mib": 256}, {"--memPoolSize=workspace:256M"}),
    ({"tactic_shared_memory_kib": 48}, {"--memPoolSize=tacticSharedMem:48K"}),
    (
        {"workspace_mib": 256, "tactic_shared_memory_kib": 48},
        {"--memPoolSize=tacticSharedMem:48K,workspace:256M"},
    ),
    ({"hardware_compatibility_level": "AMPERE_PLUS"}, {"--hardwareCompatibilityLevel=ampere+"}),
    (
        {"hardware_compatibility_level": "SAME_COMPUTE_CAPABILITY"},
        {"--hardwareCompatibilityLevel=sameComputeCapability"},
    ),
    ({"sparse_weights": True}, {"--sparsity=enable"}),
    ({"refit": True}, {"--refit"}),
    ({"version_compatible": True}, {"--versionCompatible"}),
    ({"weight_streaming": True}, {"--allowWeightStreaming"}),
    ({"direct_io": True}, {"--directIO"}),
    ({"disable_compilation_cache": True}, {"--noCompilationCache"}),
    ({"distributive_independence": True}, {"--distributiveIndependence"}),
    ({"native_instancenorm": False}, {"--pluginInstanceNorm"}),
    ({"enable_plugin_override": True}, {"--enablePluginOverride"}),
    (
        {"preview_profile_sharing_0806": False, "preview_runtime_activation_resize_10_10": True},
        {"--preview=-profileSharing0806,+runtimeActivationResize"},
    ),
    ({"preview_aliased_plugin_io_10_03": True}, {"--preview=+aliasedPluginIO1003"}),
    ({"cuda_graph": True}, {"--useCudaGraph"}),
    ({"streams": 4}, {"--infStreams=4"}),
    ({"kernel_specialization": "none"}, {"--specializeStrategyDS=none"}),
]


@pytest.mark.parametrize(("changes", "said"), SAID, ids=[str(dict(changes)) for changes, _ in SAID])
def test_every_setting_has_its_option(changes: Mapping[str, Value], said: set[str]) -> None:
    assert words(study(), **changes) == said


def test_copies_that_were_timed_are_asked_for_where_they_are_not_the_default() -> None:
    timed = Policy(transfers=True)
    assert "--noDataTransfers" not in lines(study(policy=timed))[0]
    assert "--includeDataTransfers" in shlex.split(lines(study("11.4.0.106", policy=timed))[0])
    assert "--includeDataTransfers" not in shlex.split(lines(study("11.4.0.106"))[0])


def test_a_cuda_graph_is_the_default_of_11_and_a_strategy_of_rtx() -> None:
    assert "CudaGraph" not in lines(study("11.4.0.106"), cuda_graph=True)[0]
    rtx = study("1.6.1.120", "tensorrt-rtx")
    assert words(rtx, cuda_graph=True) == {"--rtxCudaGraphStrategy=wholeGraph"}


def test_a_version_that_is_newer_than_we_know_is_taken_for_the_newest() -> None:
    assert "--noCudaGraph" in lines(study("12.0.0.1"))[0]


def test_a_profile_has_its_range_and_a_run_its_own_batch() -> None:
    found = words(study(), profile="narrow", batch=4)
    assert found == {
        "--minShapes=image:4x3x32x32",
        "--maxShapes=image:16x3x32x32",
        "--shapes=image:4x3x32x32",
    }


def test_inputs_of_fixed_shape_are_not_named() -> None:
    of = study()
    workload = of.spec.workload
    fixed = TensorFacts("mask", "float32", (4,))
    inputs = (*workload.model.inputs, fixed)
    shapes = {**workload.shapes, "mask": ShapeRange((4,), (4,), (4,))}
    both = replace(workload, model=replace(workload.model, inputs=inputs), shapes=shapes)
    assert "mask" not in lines(study(workload=both))[0]
    alone = replace(
        workload,
        model=replace(workload.model, inputs=(fixed,)),
        shapes={"mask": shapes["mask"]},
        batched_inputs=(),
    )
    assert "hapes" not in lines(study(workload=alone))[0]


def test_names_and_paths_that_a_shell_would_split_are_quoted() -> None:
    workload = study().spec.workload
    model = replace(
        workload.model,
        path="/my models/net.onnx",
        inputs=(replace(workload.model.inputs[0], name="Input:0"),),
    )
    odd = replace(
        workload, model=model, shapes={"Input:0": workload.shapes["image"]}, batched_inputs=("Input:0",)
    )
    found = shlex.split(lines(study(workload=odd))[0])
    assert "--onnx=/my models/net.onnx" in found
    assert "--shapes='Input:0':8x3x32x32" in found


def test_a_derived_graph_is_the_file_in_the_workspace(tmp_path: Path) -> None:
    file = tmp_path / "graphs" / GRAPH.digest / "graph.onnx"
    gone = lines(study(), tmp_path, graph=GRAPH, precision="fp16")
    assert f"--onnx={file}" in shlex.split(gone[0])
    assert gone[1:] == [f"# {file} is no longer there"]
    file.parent.mkdir(parents=True)
    file.write_bytes(b"a graph")
    assert lines(study(), tmp_path, graph=GRAPH, precision="fp16")[1:] == []


def comments(of: StudyRecord, **changes: Any) -> list[str]:
    return [line for line in lines(of, **changes)[1:] if "no longer there" not in line]


def test_what_has_no_option_is_a_comment() -> None:
    assert comments(study(), strict_nans=True, tactic_dram_mib=512) == [
        "# not in trtexec: strict_nans=true",
        "# not in trtexec: tactic_dram_mib=512",
    ]
    assert comments(study()) == []


def test_a_dimension_that_is_not_known_here_is_not_left_out_in_silence() -> None:
    dimension = Dimension("new_dimension", "run", (0, 1), 0, "")
    of = study(space=(*study().spec.space, dimension))
    assert comments(of, new_dimension=1) == ["# not in trtexec: new_dimension=1"]
    assert comments(of, new_dimension=0) == []


def test_the_users_inputs_are_told() -> None:
    workload = replace(study().spec.workload, inputs=InputSource(path="data.npz", digest="0"))
    (said,) = comments(study(workload=workload))
    assert said.startswith("# not in trtexec: the inputs of data.npz")


def test_options_of_the_backend_are_said() -> None:
    options = Settings(device=1, plugins="a.so+b.so", builder_threads=2)
    of = study(backend_options=options)
    assert {"--device=1", "--staticPlugins=a.so", "--staticPlugins=b.so"} < {*shlex.split(lines(of)[0])}
    assert comments(of) == ["# not in trtexec: builder_threads=2"]
    serialized = study(backend_options=Settings(plugins="a.so", serialize_plugins=True))
    assert {"--dynamicPlugins=a.so", "--setPluginsToSerialize=a.so"} < {*shlex.split(lines(serialized)[0])}


def test_a_trial_without_a_graph_has_no_line() -> None:
    of = study()
    failed = Evaluation(trial(of).candidate, failure=Failure("graph", "refused", "cannot be made"))
    with pytest.raises(UserError, match=r"trial 7 has no graph: it failed at graph \(cannot be made\)"):
        trtexec_lines(of, record(of.spec, 7, failed), Workspace(Path()))


# the command


def test_a_trial_of_another_backend_has_no_line(command: Command, searched: Path) -> None:
    said = command("show", "--workspace", searched, "--trial", 0, "--trtexec").complaint
    assert said == (
        "trtexec builds engines of TensorRT, and 'net' is a study of fake. "
        "Show a trial of tensorrt or tensorrt-rtx."
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--trtexec"], "--trtexec is about one trial: name it with --trial N"),
        (["--trial", "0", "--trtexec", "--json"], "--trtexec and --json exclude each other"),
        (["--trial", "0", "--trtexec", "--csv"], "--trtexec and --csv exclude each other"),
        (["--trial", "99", "--trtexec"], "has no trial 99"),
    ],
)
def test_options_that_make_no_sense(command: Command, searched: Path, options: list[str], said: str) -> None:
    assert said in command("show", "--workspace", searched, *options).complaint


def test_the_line_is_printed_alone(command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    of = study()
    from tuner.api import Result

    found = Result(replace(of, trials=(trial(of, streams=2),)), Workspace(tmp_path))
    monkeypatch.setattr("tuner.api.load", lambda *_, **__: found)
    shown = command("show", "--trial", 0, "--trtexec")
    assert shown.out.startswith("trtexec --onnx=/models/resnet-tiny.onnx ")
    assert "--infStreams=2" in shown.out
    assert shown.err == ""
