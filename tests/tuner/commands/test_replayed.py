"""A replayed landscape as a user meets it: what it cannot answer is one line, and nothing has run."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from engines.landscapes.file import save
from tests import landscapes
from tests.command import Command
from tests.landscapes import run

REPLAY = "replay:landscape=l.json.gz"
FAST = ("--workspace", "w", "--trials", 3, "--self-test", 0, "--finalists", 0, "--min-gain", 0)


@pytest.fixture
def arguments(command: Command, tmp_path: Path) -> tuple[object, ...]:
    """A search on the landscape of a model, both in this folder."""
    workload = landscapes.workload(tmp_path)
    runs = [run(of, 0, value) for of, value in enumerate((4.0, 2.0, 1.9, 3.0, 1.5, 3.9))]
    save(Path("l.json.gz"), landscapes.landscape(workload, runs))
    return ("search", "tiny.onnx", "--shapes", "x:2x3x12x12", *FAST)


@pytest.mark.parametrize(
    ("asked", "complaint"),
    [
        (("--cold",), "no times with caches flushed"),
        (("--objective", "cold_ms"), "does not report cold_ms"),
        (("--objective", "memory_bytes"), "does not report memory_bytes"),
        (("--constraint", "max_abs_error<=1"), "does not report max_abs_error"),
        (("--transfers",), "recorded without --transfers"),
        (("--keep-fp32", "MatMul"), "recorded without --keep-fp32"),
        (("--inputs", "data.npz"), "recorded without --inputs"),
    ],
)
def test_unrecorded_setting_is_refused_before_anything_runs(
    asked: tuple[str, ...], complaint: str, command: Command, arguments: tuple[object, ...]
) -> None:
    np.savez("data.npz", x=np.ones((2, 3, 12, 12), np.float32))
    assert complaint in command(*arguments, "--backend", REPLAY, *asked).complaint
    assert not list(Path("w/engines").iterdir())


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (",seed=x", "seed of the backend replay is a whole number, not 'x'"),
        (",seed=nan", "a whole number, not 'nan'"),
        (",seed=0.5", "a whole number, not 0.5"),
        (",seed=true", "a whole number, not True"),
        (",landscape=l.json.gz", "the backend's option 'landscape' is given twice"),
    ],
)
def test_invalid_replay_options_are_refused(
    options: str, complaint: str, command: Command, arguments: tuple[object, ...]
) -> None:
    assert complaint in command(*arguments, "--backend", f"{REPLAY}{options}").complaint


@pytest.mark.parametrize("name", ["dimensions", "points", "engines", "graphs"])
def test_a_landscape_whose_parts_do_not_fit_is_refused_in_a_line(
    name: str, command: Command, arguments: tuple[object, ...]
) -> None:
    file = Path("l.json.gz")
    plain = json.loads(gzip.decompress(file.read_bytes()))
    plain[name].pop()
    file.write_bytes(gzip.compress(json.dumps(plain).encode()))
    complaint = command(*arguments, "--backend", REPLAY).complaint
    assert "'l.json.gz' is not a valid landscape: " in complaint
    assert "Record it again" in complaint


def test_a_replayed_engine_is_not_run_outside_of_a_search(
    command: Command, arguments: tuple[object, ...]
) -> None:
    assert command(*arguments, "--backend", REPLAY, "--constraint", "error<=1").code == 0
    assert command("export", "ex", "--trial", 0, "--workspace", "w").code == 0
    for outside in (("measure", "ex"), ("compare", "--workspace", "w", 0, 1)):
        ended = command(*outside)
        assert ended.code == 2
        assert "a replayed engine computes nothing, and only a search can open it" in ended.err
        assert "not recorded" not in ended.err
