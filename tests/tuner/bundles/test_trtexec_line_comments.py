"""What the line of trtexec cannot say of a trial, or cannot be made of."""

import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engines.artifacts.workspace import Workspace
from engines.core.errors import UserError
from engines.core.results import Artifact, Evaluation, Failure
from engines.core.values import Dimension, InputSource, Settings
from studies.core.records import StudyRecord
from tests.records import record
from tests.tuner.trtexec_trials import lines, study, trial
from tests.workloads import file_at
from tuner.bundles.trtexec_line import trtexec_lines

GRAPH = Artifact("f" * 32, 1000, 0.1, reused=False)


def test_a_derived_graph_is_the_file_in_the_workspace(tmp_path: Path) -> None:
    file = tmp_path / "graphs" / GRAPH.digest / "graph.onnx"
    gone = lines(study(), tmp_path, graph=GRAPH, precision="fp16")
    assert f"--onnx={file}" in shlex.split(gone[0])
    assert gone[1:] == [f"# {file} is no longer there"]
    file.parent.mkdir(parents=True)
    file.write_bytes(b"a graph")
    assert lines(study(), tmp_path, graph=GRAPH, precision="fp16")[1:] == []


def test_setting_without_option_is_a_comment() -> None:
    assert comments(study(), strict_nans=True, tactic_dram_mib=512) == [
        "# not in trtexec: strict_nans=true",
        "# not in trtexec: tactic_dram_mib=512",
    ]
    assert comments(study()) == []


def test_unknown_dimension_is_a_comment() -> None:
    dimension = Dimension("new_dimension", "run", (0, 1), 0, "")
    of = study(space=(*study().spec.space, dimension))
    assert comments(of, new_dimension=1) == ["# not in trtexec: new_dimension=1"]
    assert comments(of, new_dimension=0) == []


def test_inputs_of_the_user_are_a_comment() -> None:
    workload = replace(study().spec.workload, inputs=InputSource(file=file_at("data.npz", "0")))
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


def comments(of: StudyRecord, **changes: Any) -> list[str]:
    return [line for line in lines(of, **changes)[1:] if "no longer there" not in line]
