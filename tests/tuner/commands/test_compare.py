"""The command `tuner compare`: two things on the same inputs."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import tuner
from engines.core.values import Settings
from engines.graphs.analysis.taps import TappedGraph
from tests.command import Command
from tests.workloads import tiny_conv
from tuner.bundles.base import EngineFile
from tuner.workflows import sides


@pytest.fixture
def wrong(model: Path) -> Path:
    """The model with other weights in its last node."""
    changed = onnx.load(model)
    weights = changed.graph.initializer[1]
    weights.CopyFrom(numpy_helper.from_array(1.5 * numpy_helper.to_array(weights), weights.name))
    onnx.save(changed, model.parent / "wrong.onnx")
    return model.parent / "wrong.onnx"


@pytest.fixture
def x(tmp_path: Path) -> Path:
    """Five samples."""
    values = np.random.default_rng(5).normal(size=(5, 3, 12, 12)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=values)
    return tmp_path / "x.npz"


@pytest.fixture
def y(model: Path, x: Path) -> Path:
    """What the model gives for these."""
    values = TappedGraph(model).run([dict(np.load(x))])[0]["y"]
    np.savez(model.parent / "y.npz", y=values)
    return model.parent / "y.npz"


# two ONNX files


def test_a_model_is_within_the_limit_of_itself(command: Command, model: Path) -> None:
    ended = command("compare", model, model, "--shapes", "2x3x12x12", "--json")
    assert ended.code == 0
    found = ended.document
    assert (found["within"], found["shapes"], found["inputs"]) == (True, {"x": [2, 3, 12, 12]}, None)
    (output,) = found["outputs"]
    assert (output["name"], output["relative_l2"], output["top1"]) == ("y", 0.0, 1.0)
    assert (output["shapes"], output["dtypes"]) == ([[2, 5], [2, 5]], ["float32", "float32"])
    assert (found["graphs"]["common"], found["graphs"]["first_beyond"]) == (5, None)


def test_the_first_tensor_beyond_the_limit_is_named_with_its_node(
    command: Command, model: Path, wrong: Path
) -> None:
    ended = command("compare", model.name, wrong.name)
    assert ended.code == 3
    assert "the first tensor beyond 0.01 is 'y', made by MatMul 'classify': 0.5000" in ended.out
    assert "its inputs: 'f' 0\n" in ended.out
    assert ended.out.endswith("beyond the limit of 0.01\n")
    assert "dimension 'batch' is dynamic" in ended.err


def test_every_tensor_is_shown_when_asked_for(command: Command, model: Path, wrong: Path) -> None:
    ended = command("compare", model, wrong, "--all", "--limit", "0.6", "-q")
    assert ended.code == 0
    assert ended.err == ""
    nodes = [line.split()[:3] for line in ended.out.splitlines()]
    assert ["c", "Conv", "conv"] in nodes
    assert ["y", "MatMul", "classify"] in nodes
    assert "of 5 tensors that both graphs have, none is beyond 0.6" in ended.out


def test_comparing_ends_at_the_first_beyond_unless_all_are_asked_for(
    command: Command, model: Path, wrong: Path
) -> None:
    last = {}
    for name, more in (("first", []), ("all", ["--all"])):
        changed = onnx.load(wrong)
        kernel = changed.graph.initializer[0]
        kernel.CopyFrom(numpy_helper.from_array(2 * numpy_helper.to_array(kernel), kernel.name))
        onnx.save(changed, "both.onnx")
        graphs = command("compare", model, "both.onnx", "--json", *more).document["graphs"]
        assert graphs["first_beyond"] == "c"
        last[name] = graphs["tensors"][-1]["name"]
    assert last == {"first": "c", "all": "y"}


def test_outputs_of_one_side_are_reported_and_ignored(command: Command, model: Path) -> None:
    more = onnx.load(model)
    more.graph.output.append(onnx.ValueInfoProto(name="r"))
    onnx.save(onnx.shape_inference.infer_shapes(more), "more.onnx")
    ended = command("compare", model, "more.onnx", "--json")
    assert ended.code == 0
    assert ended.document["only_second"] == ["r"]
    assert "more.onnx has the output 'r', and" in ended.err


def test_an_output_of_another_shape_is_beyond_any_limit(command: Command, model: Path) -> None:
    narrow = onnx.load(model)
    weights = narrow.graph.initializer[1]
    weights.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(weights)[:, :4], weights.name))
    narrow.graph.output[0].type.tensor_type.shape.dim[1].dim_value = 4
    onnx.save(narrow, "narrow.onnx")
    ended = command("compare", model, "narrow.onnx", "-q", "--limit", "1000")
    assert ended.code == 3
    assert "1x5 / 1x4" in ended.out
    assert "has shape (1, 4), not (1, 5)" in ended.out


# outputs in a file


def test_a_model_agrees_with_what_it_gave(command: Command, model: Path, x: Path, y: Path) -> None:
    # at a batch that the five samples do not fill
    ended = command("compare", y, model, "--inputs", x, "--shapes", "2x3x12x12", "--json")
    assert ended.code == 0
    assert ended.document["outputs"][0]["relative_l2"] < 1e-6
    assert ended.document["outputs"][0]["shapes"] == [[5, 5], [5, 5]]
    assert (ended.document["batches"], ended.document["inputs"]) == (3, str(x))


def test_two_files_of_outputs_are_compared_without_running_anything(command: Command, y: Path) -> None:
    values = np.load(y)["y"]
    np.savez("other.npz", y=values * np.float32(1.1))
    ended = command("compare", y, "other.npz", "-q")
    assert ended.code == 3
    assert "0.1000" in ended.out
    assert "shapes" not in ended.out


# engines and trials


def test_two_trials_are_compared(command: Command, searched: Path) -> None:
    trials = tuner.load_study("net", workspace=searched).study.trials
    fp16 = next(t for t in trials if t.state == "feasible" and t.candidate.settings["precision"] == "fp16")
    other = fp16.number
    ended = command("compare", "net/trial:0", other, "--workspace", searched, "--limit", "1", "--json", "-q")
    assert ended.code == 0
    assert ended.document["second"]["name"] == f"trial {other} of net"
    assert ended.document["outputs"][0]["relative_l2"] > 0
    assert ended.document["graphs"] is None


def test_an_export_is_compared_with_its_trial(command: Command, searched: Path) -> None:
    assert command("export", "net", "best", "--trial", 0, "--workspace", searched).code == 0
    ended = command("compare", "best", "trial:0", "--study", "net", "--workspace", searched, "--json")
    assert ended.code == 0
    assert ended.document["first"]["about"] == "trial 0 of net"
    assert ended.document["outputs"][0]["relative_l2"] == 0.0


def test_outputs_and_a_trial_need_the_inputs(command: Command, searched: Path) -> None:
    np.savez("out.npz", output=np.ones(64, np.float32))
    said = command("compare", "0", "out.npz", "--workspace", searched).complaint
    assert "the inputs of the outputs in 'out.npz' are not known" in said


def test_a_trial_whose_engine_is_gone_says_how_to_get_it_back(
    command: Command, searched: Path, tmp_path: Path
) -> None:
    shutil.copytree(searched, tmp_path / "w", ignore=shutil.ignore_patterns("engines"))
    said = command("compare", "0", "0", "--workspace", "w").complaint
    assert "the engine of trial 0 of net is no longer in 'w/engines'" in said
    assert "search again: that builds what is missing" in said


def test_a_trial_without_an_engine_says_why(command: Command, searched: Path) -> None:
    trials = tuner.load_study("net", workspace=searched).study.trials
    unbuilt = next(trial.number for trial in trials if trial.engine is None)
    said = command("compare", unbuilt, "0", "--workspace", searched).complaint
    assert f"trial {unbuilt} of net has no engine: it failed at build" in said


def test_where_no_backend_can_run_a_plan_each_says_why(
    command: Command, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def two(path: Path, backend: str) -> EngineFile:
        return EngineFile(path, ("fake", "onnxruntime"), {}, Settings(streams=1))  # type: ignore[arg-type]

    monkeypatch.setattr(sides, "find_engine", two)
    Path("net.plan").write_bytes(b"a plan")
    said = command("compare", model, "net.plan", "-q").complaint
    assert "fake cannot run net.plan" in said
    assert "onnxruntime cannot run net.plan" in said


# what is wrong


def files(folder: Path) -> None:
    """Files that cannot be compared with the model, and some that are nothing at all."""
    tiny_conv(folder)
    (folder / "text.onnx").write_text("hello, this is text")
    (folder / "text.npz").write_text("hello, this is text")
    (folder / "thing.bin").write_bytes(b"\0")
    (folder / "empty").mkdir()
    np.savez(folder / "none.npz")
    np.savez(folder / "a.npz", y=np.ones(3))
    np.savez(folder / "b.npz", z=np.ones(3))
    np.savez(folder / "x.npz", x=np.ones((2, 3, 12, 12), np.float32))
    model = onnx.load(folder / "tiny.onnx")
    model.graph.input[0].name = model.graph.node[0].input[0] = "image"
    onnx.save(model, folder / "image.onnx")
    model = onnx.load(folder / "tiny.onnx")
    model.graph.output[0].name = model.graph.node[-1].output[0] = "logits"
    onnx.save(model, folder / "logits.onnx")
    model = onnx.load(folder / "tiny.onnx")
    model.graph.node[1].op_type = "Nonsense"
    onnx.save(model, folder / "nonsense.onnx")
    for name, size in (("one", 1), ("two", 2)):
        model = onnx.load(folder / "tiny.onnx")
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = size
        onnx.save(model, folder / f"{name}.onnx")


BAD: list[tuple[list[str], str]] = [
    (["tiny.onnx"], "missing argument 'B'"),
    (["tiny.onnx", ""], "there is no ''. Name an ONNX file"),
    (["tiny.onnx", "nope.onnx"], "there is no 'nope.onnx'. Name an ONNX file"),
    (["tiny.onnx", "text.onnx"], "'text.onnx' is not an ONNX model but a text"),
    (["text.npz", "tiny.onnx"], "'text.npz' is not an npz file of plain arrays"),
    (["none.npz", "tiny.onnx"], "'none.npz' contains no arrays"),
    (["tiny.onnx", "thing.bin"], "the kind of 'thing.bin' is not known"),
    (["tiny.onnx", "empty"], "the folder 'empty' is not an export"),
    (["tiny.onnx", "trial:7"], "there are no studies in '.tuner'"),
    (["tiny.onnx", "net/trial:7", "--workspace", "nowhere"], "there are no studies in 'nowhere'"),
    (
        ["tiny.onnx", "image.onnx"],
        "tiny.onnx takes x:batchx3x12x12, and image.onnx takes image:batchx3x12x12",
    ),
    (["one.onnx", "two.onnx"], "the input 'x' is 1x3x12x12 for one.onnx, and 2x3x12x12 for two.onnx"),
    (["one.onnx", "tiny.onnx", "--shapes", "8x3x12x12"], "fixed to 1, not 8"),
    (["tiny.onnx", "tiny.onnx", "--shapes", "y:1x2"], "no input 'y'"),
    (["tiny.onnx", "tiny.onnx", "--shapes", "x:a"], "cannot read the shape 'x:a'"),
    (["tiny.onnx", "tiny.onnx", "--inputs", "nope.npz"], "no such file: 'nope.npz'"),
    (["tiny.onnx", "tiny.onnx", "--inputs", "a.npz"], "no input 'y'"),
    (["tiny.onnx", "tiny.onnx", "--limit", "-1"], "--limit must be zero or more, not -1"),
    (["tiny.onnx", "tiny.onnx", "--limit", "nan"], "--limit must be zero or more, not nan"),
    (["tiny.onnx", "tiny.onnx", "--limit", "low"], "'low' is not a valid float"),
    (["tiny.onnx", "thing.bin", "--backend", "magic"], "unknown backend 'magic'"),
    (["tiny.onnx", "a.npz"], "the inputs of the outputs in 'a.npz' are not known"),
    (["a.npz", "tiny.onnx"], "the inputs of the outputs in 'a.npz' are not known"),
    (["a.npz", "b.npz"], "a.npz gives y, and b.npz gives z"),
    (["a.npz", "a.npz", "--inputs", "x.npz"], "a.npz and a.npz are outputs already, and nothing is run"),
    (["b.npz", "tiny.onnx", "--inputs", "x.npz", "-q"], "b.npz gives z, and tiny.onnx gives y"),
    (["tiny.onnx", "logits.onnx", "-q"], "tiny.onnx gives y, and logits.onnx gives logits"),
    (["tiny.onnx", "nonsense.onnx", "-q"], "ONNX Runtime cannot run nonsense.onnx: "),
]


@pytest.mark.parametrize(("arguments", "said"), BAD, ids=[" ".join(arguments) for arguments, _ in BAD])
def test_invalid_arguments_are_refused_in_one_line(
    command: Command, tmp_path: Path, arguments: list[str], said: str
) -> None:
    files(tmp_path)
    more = ["--shapes", "2x3x12x12"] if "-q" in arguments else []
    assert said in command("compare", *arguments, *more).complaint
