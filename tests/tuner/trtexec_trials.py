"""Trials of TensorRT, for the lines of trtexec that reproduce them."""

import shlex
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from engines.artifacts.workspace import Workspace
from engines.core.results import Artifact
from engines.core.values import Candidate, Dimension, Machine, Settings, Value
from studies.core.records import StudyRecord, TrialRecord
from tests.records import START, measured, record, study_spec
from tuner.bundles.trtexec_line import trtexec_lines

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
