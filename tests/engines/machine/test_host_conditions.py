"""Conditions of a Linux host, read from made-up trees of its files."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from engines.machine import host_conditions
from engines.machine.conditions import Condition
from engines.machine.host_conditions import Host

CPU = "sys/devices/system/cpu"
# a quiet machine of two cores
QUIET = {
    f"{CPU}/cpu0/cpufreq/scaling_governor": "performance\n",
    f"{CPU}/cpu1/cpufreq/scaling_governor": "performance\n",
    f"{CPU}/intel_pstate/no_turbo": "1\n",
    f"{CPU}/cpu0/topology/thread_siblings_list": "0\n",
    f"{CPU}/cpu1/topology/thread_siblings_list": "1\n",
    f"{CPU}/cpu0/thermal_throttle/core_throttle_count": "3\n",
    f"{CPU}/cpu1/thermal_throttle/core_throttle_count": "4\n",
    "proc/cpuinfo": "processor\t: 0\nflags\t\t: fpu sse avx2\n",
    "proc/loadavg": "0.10 0.04 0.28 1/87 27696\n",
    "proc/stat": "cpu  30 0 0 270 0 0 0 0 0 0\ncpu0 10 0 0 190 0 0 0 0 0 0\ncpu1 20 0 0 80 0 0 0 0 0 0\n",
    "proc/pressure/memory": "some avg10=0.15 avg60=0.36 avg300=0.18 total=7\nfull avg10=0.00\n",
    "proc/swaps": "Filename\tType\tSize\tUsed\tPriority\n",
    "proc/vmstat": "nr_free_pages 5\npswpin 10\npswpout 20\n",
    "proc/self/cgroup": "0::/work/job\n",
    "sys/fs/cgroup/work/cpu.max": "max 100000\n",
    "sys/fs/cgroup/work/cpu.stat": "usage_usec 5\nnr_periods 9\nnr_throttled 2\n",
    "sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc\n",
}
Tree = Callable[..., Host]


@pytest.fixture
def host(tmp_path: Path) -> Tree:
    """The quiet machine, with other files: a text that is None is of a file that is not there."""

    def make(changed: Mapping[str, str | None] | None = None, cores: tuple[int, ...] = (0, 1)) -> Host:
        root = tmp_path / str(len(list(tmp_path.iterdir())))
        for name, text in {**QUIET, **(changed or {})}.items():
            if text is not None:
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text)
        return Host(root, frozenset(cores))

    return make


def _named(conditions: tuple[Condition, ...], name: str) -> Condition:
    (found,) = [condition for condition in conditions if condition.name == name]
    return found


def test_a_quiet_host_is_fine_in_everything(host: Tree) -> None:
    states = host_conditions.states(host())
    assert {one.verdict for one in states} == {"fine"}, states
    assert {one.advice for one in states} == {""}


@pytest.mark.parametrize(
    ("name", "changed", "found"),
    [
        ("governor", {f"{CPU}/cpu1/cpufreq/scaling_governor": "powersave"}, "performance, powersave"),
        ("turbo", {f"{CPU}/intel_pstate/no_turbo": "0"}, "on"),
        ("turbo", {f"{CPU}/intel_pstate/no_turbo": None, f"{CPU}/cpufreq/boost": "1"}, "on"),
        ("CPU quota", {"sys/fs/cgroup/work/cpu.max": "150000 100000"}, "1.5 of 2 cores, by a quota"),
        ("threads of a core", {f"{CPU}/cpu{core}/topology/thread_siblings_list": "0-1" for core in (0, 1)},
         "1 core with several threads each"),
        ("virtual machine", {"proc/cpuinfo": "flags\t: fpu hypervisor avx2"},
         "yes; others on the same host cannot be seen from inside"),
        ("load of the last minute", {"proc/loadavg": "1.70 0.04 0.28 1/87 27696"}, "1.7 on 2 cores"),
        ("waiting for memory", {"proc/pressure/memory": "some avg10=12.50"}, "12.5 % of the last 10 s"),
        ("swap in use", {"proc/swaps": "Filename Type Size Used Priority\n/a file 9999999 1048576 -2\n"
                         "/b file 9999999 1048576 -3\n"}, "2,048 MiB"),
        ("time source", {"sys/devices/system/clocksource/clocksource0/current_clocksource": "hpet"}, "hpet"),
    ],
)  # fmt: skip
def test_noisy_condition_has_advice(
    host: Tree, name: str, changed: Mapping[str, str | None], found: str
) -> None:
    condition = _named(host_conditions.states(host(changed)), name)
    assert (condition.verdict, condition.found) == ("noisy", found)
    assert condition.advice.endswith(".")


def test_a_single_core_is_too_few(host: Tree) -> None:
    condition = _named(host_conditions.states(host(cores=(1,))), "cores")
    assert (condition.verdict, condition.found) == ("noisy", "1 core")


def test_threads_that_share_a_core_with_none_of_ours_are_fine(host: Tree) -> None:
    other = host({f"{CPU}/cpu0/topology/thread_siblings_list": "0,8"})
    assert _named(host_conditions.states(other), "threads of a core").verdict == "fine"


def test_the_tightest_quota_of_the_groups_above_counts(host: Tree) -> None:
    limits = {"sys/fs/cgroup/work/job/cpu.max": "180000 100000", "sys/fs/cgroup/cpu.max": "50000 100000"}
    found = _named(host_conditions.states(host(limits)), "CPU quota").found
    assert found == "0.5 of 2 cores, by a quota"


def test_the_first_version_of_control_groups_is_read_too(host: Tree) -> None:
    first = host(
        {
            "proc/self/cgroup": "5:devices:/\n3:cpu,cpuacct:/docker/1a2b\n0::/\n",
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "100000",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/cpu/cpu.stat": "nr_periods 9\nnr_throttled 7\nthrottled_time 8\n",
        }
    )
    assert _named(host_conditions.states(first), "CPU quota").found == "1 of 2 cores, by a quota"
    assert host_conditions.counters(first)["quota_stops"] == 7


def test_a_clock_that_is_not_known_is_not_judged(host: Tree) -> None:
    name = "sys/devices/system/clocksource/clocksource0/current_clocksource"
    condition = _named(host_conditions.states(host({name: "moon"})), "time source")
    assert (condition.verdict, condition.found) == ("unknown", "moon")


def test_a_system_without_these_files_is_unknown_and_no_error(tmp_path: Path) -> None:
    states = host_conditions.states(Host(tmp_path, frozenset({0, 1})))
    assert {one.name for one in states if one.verdict != "unknown"} == {"cores"}
    nothing = host_conditions.counters(Host(tmp_path, frozenset({0, 1})))
    assert nothing == {}
    assert {one.verdict for one in host_conditions.while_idle(nothing, nothing)} == {"unknown"}
    assert {one.verdict for one in host_conditions.while_busy(nothing, nothing)} == {"unknown"}


@pytest.mark.parametrize("text", ["", "\n", "nonsense", "a b c\nd", "\xff"])
def test_files_that_cannot_be_understood_are_unknown_and_no_error(host: Tree, text: str) -> None:
    spoiled = host(dict.fromkeys(QUIET, text))
    for name in QUIET:
        (spoiled.root / name).write_bytes(text.encode("latin-1"))
    noisy = {one.name for one in host_conditions.states(spoiled) if one.verdict == "noisy"}
    assert noisy <= {"governor"}, "a governor may have any name"
    host_conditions.counters(spoiled)


def test_files_that_may_not_be_read_are_unknown(host: Tree) -> None:
    kept = host()
    file = kept.root / "proc/loadavg"
    file.unlink()
    file.mkdir()
    assert _named(host_conditions.states(kept), "load of the last minute").verdict == "unknown"


def _ticks(*rows: str) -> dict[str, str]:
    return {"proc/stat": "".join(f"cpu{core} {row}\n" for core, row in enumerate(rows))}


def test_load_of_others_is_a_share_of_the_cores(host: Tree) -> None:
    before = host_conditions.counters(host(_ticks("10 0 0 100 0 0 0 0 0 0", "0 0 0 0 0 0 0 0 0 0")))
    after = host_conditions.counters(host(_ticks("25 0 5 180 0 0 0 0 0 0", "0 0 0 100 0 0 0 0 0 0")))
    (others,) = host_conditions.while_idle(before, after)
    assert (others.verdict, others.found) == ("noisy", "10.0 % of the cores")


def test_cores_of_other_processes_do_not_count(host: Tree) -> None:
    rows = _ticks("0 0 0 100 0 0 0 0 0 0", "90 0 0 10 0 0 0 0 0 0")
    empty = host_conditions.counters(host(_ticks(*["0 0 0 0 0 0 0 0 0 0"] * 2), cores=(0,)))
    (others,) = host_conditions.while_idle(empty, host_conditions.counters(host(rows, cores=(0,))))
    assert (others.verdict, others.found) == ("fine", "0.0 % of the cores")


def test_losses_while_busy_are_counted(host: Tree) -> None:
    before = host_conditions.counters(host())
    grown = {
        **_ticks("10 0 0 190 0 0 0 0 0 0", "110 0 0 80 0 0 0 10 0 0"),
        "sys/fs/cgroup/work/cpu.stat": "nr_throttled 14",
        "proc/vmstat": "pswpin 10\npswpout 2020\n",
        f"{CPU}/cpu0/thermal_throttle/core_throttle_count": "4",
    }
    lost = host_conditions.while_busy(before, host_conditions.counters(host(grown)))
    assert {one.name: one.found for one in lost} == {
        "stolen by the host": "10.0 % of the time that was wanted",
        "stopped by the quota": "12 times",
        "swapping": "2,000 times",
        "throttling by heat": "1 time",
    }
    assert {one.verdict for one in lost} == {"noisy"}


def test_nothing_kept_from_us_is_fine(host: Tree) -> None:
    before = host_conditions.counters(host())
    after = host_conditions.counters(host(_ticks("60 0 0 190 0 0 0 0 0 0", "20 0 0 80 0 0 0 0 0 0")))
    assert {one.verdict for one in host_conditions.while_busy(before, after)} == {"fine"}


def test_this_machine_can_be_asked() -> None:
    here = Host()
    assert here.cores
    assert len(host_conditions.states(here)) == len(host_conditions.STATES)
    assert host_conditions.counters(here)["ticks"] > 0
