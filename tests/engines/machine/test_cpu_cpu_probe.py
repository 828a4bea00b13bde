import os
from pathlib import Path

import pytest

from engines.machine import cpu
from engines.machine.telemetry import between

TASKS = "proc/self/task"
POWER = "sys/class/powercap"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A host with a clock for each core, two packages that count energy, and a process of two threads."""
    for core in os.sched_getaffinity(0):
        _write(
            tmp_path, f"sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq", 2_400_000 + 1000 * core
        )
    for package, energy in enumerate((5_000_000, 7_000_000)):
        _write(tmp_path, f"{POWER}/intel-rapl:{package}/energy_uj", energy)
        _write(tmp_path, f"{POWER}/intel-rapl:{package}/max_energy_range_uj", 10_000_000)
    # a part of a package, which would be counted twice
    _write(tmp_path, f"{POWER}/intel-rapl:0:0/energy_uj", 3_000_000)
    _write(tmp_path, f"{POWER}/intel-rapl:0:0/max_energy_range_uj", 10_000_000)
    _wait(tmp_path, 11, 1.0)
    _wait(tmp_path, 12, 2.0)
    return tmp_path


def _write(root: Path, name: str, value: object) -> None:
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{value}\n")


def _wait(root: Path, thread: int, seconds: float) -> None:
    _write(root, f"{TASKS}/{thread}/schedstat", f"77 {int(seconds * 1e9)} 5")


def _end(root: Path, thread: int) -> None:
    (root / f"{TASKS}/{thread}/schedstat").unlink()
    (root / f"{TASKS}/{thread}").rmdir()


def test_the_clock_is_the_mean_of_a_few_cores(root: Path) -> None:
    cores = sorted(os.sched_getaffinity(0))[: cpu.CLOCKS_READ]
    expected = 2400 + sum(cores) / len(cores)
    assert cpu.probe(root).read().values == {"clock_mhz": pytest.approx(expected)}


def test_energy_is_that_of_all_packages(root: Path) -> None:
    probe = cpu.probe(root)
    before = probe.read()
    _write(root, f"{POWER}/intel-rapl:0/energy_uj", 5_500_000)
    _write(root, f"{POWER}/intel-rapl:1/energy_uj", 7_250_000)
    assert between(before, probe.read())["energy_mj"] == pytest.approx(750.0)


def test_energy_grows_on_where_a_counter_starts_again(root: Path) -> None:
    probe = cpu.probe(root)
    before = probe.read()
    _write(root, f"{POWER}/intel-rapl:1/energy_uj", 1_000_000)
    assert between(before, probe.read())["energy_mj"] == pytest.approx(4000.0)


def test_waiting_is_that_of_all_threads(root: Path) -> None:
    probe = cpu.probe(root)
    before = probe.read()
    _wait(root, 11, 1.25)
    _wait(root, 12, 2.5)
    assert between(before, probe.read())["waited_seconds"] == pytest.approx(0.75)


def test_threads_that_come_and_go_are_followed(root: Path) -> None:
    waits = cpu.Waits(root / TASKS, search_seconds=0.0)
    assert waits() == {"11": 10**9, "12": 2 * 10**9}
    _end(root, 12)
    _wait(root, 13, 0.5)
    assert waits() == {"11": 10**9, "13": 10**9 // 2}


def test_threads_are_not_looked_for_each_time(root: Path) -> None:
    waits = cpu.Waits(root / TASKS, search_seconds=1e9)
    waits()
    _wait(root, 13, 0.5)
    assert set(waits()) == {"11", "12"}


def test_counter_is_growth_since_first_seen() -> None:
    seen: list[dict[str, int]] = [
        {"a": 7},
        {"a": 9, "b": 100},
        {"a": 9, "b": 101},
        {"b": 101},
        {"a": 5, "b": 103},
    ]
    counts = iter(seen)
    counter = cpu.Counter(lambda: next(counts), 0.5)
    assert [counter() for _ in seen] == [0.0, 1.0, 1.5, 1.5, 2.5]


def test_a_count_that_fell_is_that_of_another_under_the_same_name() -> None:
    counts = iter([{"12": 7}, {"12": 9}, {"12": 4}])
    counter = cpu.Counter(lambda: next(counts), 1.0)
    assert [counter() for _ in range(3)] == [0, 2, 6]


def test_host_without_telemetry_gives_empty_readings(tmp_path: Path) -> None:
    probe = cpu.probe(tmp_path)
    for _ in range(2):
        reading = probe.read()
        assert (reading.values, reading.counters, reading.throttled_by) == ({}, {}, ())


def test_energy_that_only_root_may_read_is_left_out(root: Path) -> None:
    (root / f"{POWER}/intel-rapl:1/energy_uj").unlink()
    assert set(cpu.probe(root).read().counters) == {"waited_seconds"}


def test_this_host_says_how_long_its_threads_waited() -> None:
    if not Path("/proc/self/task").is_dir():
        pytest.skip("this system has no /proc")
    probe = cpu.probe()
    before, after = probe.read(), probe.read()
    waited = between(before, after).get("waited_seconds", 0.0)
    assert 0.0 <= waited < 60.0
