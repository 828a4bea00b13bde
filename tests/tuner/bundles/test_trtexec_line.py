"""The line of trtexec that reproduces a trial of TensorRT: its options, its shapes and its words."""

import shlex
from collections.abc import Mapping
from dataclasses import replace

import pytest

from engines.core.values import Policy, ShapeRange, TensorFacts, Value
from engines.shapes.plan import single_plan
from tests.tuner.trtexec_trials import lines, study, words


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
    shapes = {**workload.plan.ranges, "mask": ShapeRange((4,), (4,), (4,))}
    both = replace(workload, model=replace(workload.model, inputs=inputs), plan=single_plan(shapes, 8))
    assert "mask" not in lines(study(workload=both))[0]
    alone = replace(
        workload,
        model=replace(workload.model, inputs=(fixed,)),
        plan=single_plan({"mask": shapes["mask"]}, 8),
        batched_inputs=(),
    )
    assert "hapes" not in lines(study(workload=alone))[0]


def test_names_and_paths_that_a_shell_would_split_are_quoted() -> None:
    workload = study().spec.workload
    model = replace(
        workload.model,
        file=replace(workload.model.file, where="/my models/net.onnx"),
        inputs=(replace(workload.model.inputs[0], name="Input:0"),),
    )
    odd = replace(
        workload,
        model=model,
        plan=single_plan({"Input:0": workload.plan.ranges["image"]}, 8),
        batched_inputs=("Input:0",),
    )
    found = shlex.split(lines(study(workload=odd))[0])
    assert "--onnx=/my models/net.onnx" in found
    assert "--shapes='Input:0':8x3x32x32" in found
