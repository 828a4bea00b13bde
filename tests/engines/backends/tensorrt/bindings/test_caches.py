import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from engines.backends.tensorrt.bindings.caches import (
    CacheFile,
    attach_runtime_cache,
    attach_timing_cache,
    cache_facts,
    cache_file,
    save_runtime_cache,
    save_timing_cache,
)
from engines.core.values import Machine
from tests.engines.backends.tensorrt.fakes import RuntimeOptions, TimingConfig
from tests.paths import ROOT

NAMES = 200
MACHINE = Machine(
    "gpu", "H200", 132, 0, "Linux", driver="580", libraries={"tensorrt": "11.4"}, limits={"mig": False}
)


@pytest.fixture
def file(tmp_path: Path) -> CacheFile:
    return CacheFile(tmp_path / "timing.cache")


def _build(file: CacheFile, *names: str) -> int:
    """A build that learns names; the size of the cache that it began with."""
    config = TimingConfig()
    before = attach_timing_cache(config, file)
    config.learn(*names)
    save_timing_cache(config, file)
    return before


def _put(file: CacheFile, content: bytes) -> None:
    file.update(lambda _: content)


def _known(file: CacheFile) -> list[str]:
    names: list[str] = json.loads(file.read())
    return names


def test_a_machine_has_a_file_of_its_own_for_each_kind(tmp_path: Path) -> None:
    first = cache_file(tmp_path, "timing", MACHINE)
    assert first == cache_file(tmp_path, "timing", replace(MACHINE, limits={"power_limit_w": 300}))
    others = [
        replace(MACHINE, processor="H100"),
        replace(MACHINE, driver="570"),
        replace(MACHINE, libraries={"tensorrt": "11.3"}),
        replace(MACHINE, limits={"compute_capability": "9.0"}),
    ]
    paths = {cache_file(tmp_path, "timing", machine).path for machine in others}
    assert len(paths | {first.path, cache_file(tmp_path, "runtime", MACHINE).path}) == 6


def test_a_build_starts_cold_and_the_next_one_warm(file: CacheFile) -> None:
    assert _build(file, "conv") == 0
    assert _build(file, "gemm") == len(json.dumps(["conv"]))
    assert _known(file) == ["conv", "gemm"]


def test_cache_saved_by_another_process_is_merged(file: CacheFile) -> None:
    config = TimingConfig()
    attach_timing_cache(config, file)
    config.learn("mine")
    _build(file, "theirs")
    own = save_timing_cache(config, file)
    assert _known(file) == ["mine", "theirs"]
    assert own == len(json.dumps(["mine"]))


def test_a_cache_of_another_device_is_set_aside_with_a_warning(
    file: CacheFile, capsys: pytest.CaptureFixture[str]
) -> None:
    _put(file, json.dumps(["other device"]).encode())
    assert _build(file, "conv") == 0
    assert _known(file) == ["conv"]
    aside = CacheFile(file.path.with_suffix(".refused"))
    assert _known(aside) == ["other device"]
    warning = capsys.readouterr().err
    assert warning.startswith("[W] the cache timing.cache is set aside as timing.refused: ")
    assert warning.count("\n") == 1


def test_a_cache_at_which_the_vendors_parser_throws_is_set_aside(
    file: CacheFile, capsys: pytest.CaptureFixture[str]
) -> None:
    _build(file, "conv")
    config = TimingConfig(throws=True)
    assert attach_timing_cache(config, file) == 0
    assert config.cache is not None
    assert "set aside" in capsys.readouterr().err
    assert not file.path.exists()


@pytest.mark.parametrize("damage", ["cut short", "a byte changed", "no cache at all", "empty"])
def test_damaged_bytes_never_reach_the_vendors_parser(
    file: CacheFile, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _build(file, "conv")
    whole = file.path.read_bytes()
    damaged = {
        "cut short": whole[:-3],
        "a byte changed": whole[:-3] + b"?" + whole[-2:],
        "no cache at all": b"\0" * 100,
        "empty": b"",
    }[damage]
    file.path.write_bytes(damaged)
    assert _build(file, "gemm") == 0
    assert _known(file) == ["gemm"]
    assert ("it is damaged" in capsys.readouterr().err) == (damage != "empty")


def test_damaged_cache_is_set_aside_when_saving(file: CacheFile, capsys: pytest.CaptureFixture[str]) -> None:
    config = TimingConfig()
    attach_timing_cache(config, file)
    config.learn("mine")
    file.path.write_bytes(b"damaged meanwhile")
    save_timing_cache(config, file)
    assert _known(file) == ["mine"]
    assert "it is damaged" in capsys.readouterr().err


def test_another_process_whose_cache_cannot_be_merged_loses_nothing_of_ours(
    file: CacheFile, capsys: pytest.CaptureFixture[str]
) -> None:
    config = TimingConfig(throws=True)
    attach_timing_cache(config, file)
    config.learn("mine")
    _build(file, "theirs")
    save_timing_cache(config, file)
    assert _known(file) == ["mine"]
    assert "not merged" in capsys.readouterr().err


def test_a_good_cache_that_took_the_place_of_a_refused_one_stays(file: CacheFile) -> None:
    _build(file, "conv")
    file.refuse(b"what stood here before", "it does not fit")
    assert _known(file) == ["conv"]


def test_a_cache_that_cannot_be_written_costs_no_trial(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("where a folder should be")
    file = CacheFile(tmp_path / "file" / "timing.cache")
    assert _build(file, "conv") == 0
    errors = capsys.readouterr().err.splitlines()
    assert errors
    assert all(line.startswith("[W] the cache timing.cache ") for line in errors)


def test_a_file_is_replaced_at_once(file: CacheFile) -> None:
    """Whoever has the old one open goes on reading that, whole."""
    _build(file, "conv")
    with file.path.open("rb") as reader:
        begin = reader.read(5)
        _build(file, "gemm")
        old = begin + reader.read()
    assert old.endswith(b'["conv"]')
    assert file.path.read_bytes().endswith(b'["conv", "gemm"]')
    assert [path.name for path in file.path.parent.glob(".*")] == []


def test_processes_take_turns_and_lose_nothing(file: CacheFile) -> None:
    """Each adds names of its own at the same time as the other; without turns some would be lost."""
    program = """
import sys
from pathlib import Path
from tests.engines.backends.tensorrt.bindings.test_caches import CacheFile, add_names
print("ready", flush=True)
sys.stdin.readline()
add_names(CacheFile(Path(sys.argv[1])), sys.argv[2])
"""
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(file.path), writer],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for writer in ("first", "second")
    ]
    for process in writers:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
    for process in writers:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
        process.stdin.flush()
    for process in writers:
        _, errors = process.communicate()
        assert (process.returncode, errors) == (0, b"")
    assert len(_known(file)) == 2 * NAMES


def add_names(file: CacheFile, writer: str) -> None:
    for count in range(NAMES):
        name = f"{writer} {count}"
        file.update(lambda known, name=name: json.dumps([*json.loads(known or b"[]"), name]).encode())  # type: ignore[misc]


def test_facts_say_what_a_build_added() -> None:
    assert cache_facts(0, 70) == {"timing_cache": "cold", "timing_cache_growth_bytes": 70}
    assert cache_facts(50, 70) == {"timing_cache": "warm", "timing_cache_growth_bytes": 20}
    assert cache_facts(70, 60)["timing_cache_growth_bytes"] == 0


def test_compiled_kernels_are_found_again(file: CacheFile) -> None:
    first, second = RuntimeOptions(), RuntimeOptions()
    cache, known = attach_runtime_cache(first, file)
    assert first.cache is cache is not None
    cache.kernels = b"two kernels"
    save_runtime_cache(cache, file, known)
    found, known = attach_runtime_cache(second, file)
    assert found.kernels == b"two kernels"
    assert known == len(found.kernels)


def test_where_nothing_new_was_compiled_the_file_is_not_even_read(
    file: CacheFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    _put(file, b"two kernels")
    cache, known = attach_runtime_cache(RuntimeOptions(), file)
    monkeypatch.setattr(CacheFile, "update", lambda *_: pytest.fail("there is nothing to write"))
    save_runtime_cache(cache, file, known)


@pytest.mark.parametrize("kernels", [b"other device", b"other version"])
def test_kernels_that_do_not_fit_are_set_aside(
    file: CacheFile, kernels: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    _put(file, kernels)
    options = RuntimeOptions()
    cache, known = attach_runtime_cache(options, file)
    assert (cache.kernels, known) == (b"", 0)
    assert options.cache is not None
    assert capsys.readouterr().err.count("set aside") == 1
    assert not file.path.exists()


def test_a_process_that_knows_less_leaves_the_cache_alone(file: CacheFile) -> None:
    cache, known = attach_runtime_cache(RuntimeOptions(), file)
    _put(file, b"three kernels")
    cache.kernels = b"one"
    save_runtime_cache(cache, file, known)
    assert file.read() == b"three kernels"
