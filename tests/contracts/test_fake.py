import math
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from engines.backends.fake.backend import Fake
from engines.backends.fake.machine import RANGES, FakeProbe, FakeRunner, Options, latency_ms, read_options
from engines.core.errors import UserError
from engines.core.results import Block
from engines.core.values import NOTHING, Candidate, Policy, Settings, Tensors, Value, Workload
from engines.machine.telemetry import between, disturbance
from studies.core.space import baseline_of
from tests.contracts.backend import BackendContract
from tests.workloads import tiny_conv, workload_of

SPEC = Settings(
    precision="fp16",
    profile="wide",
    builder_optimization_level=3,
    max_aux_streams=0,
    cuda_graph=True,
    streams=1,
    batch=1,
    model="m",
)
QUIET = Settings(noise=0.0, run_noise=0.0)


class TestFake(BackendContract):
    name = Fake.name


@pytest.fixture
def workload(tmp_path: Path) -> Workload:
    return workload_of(tiny_conv(tmp_path), x=(2, 3, 12, 12))


def _runner(options: Settings = NOTHING, opening: int = 0, probe: FakeProbe | None = None) -> FakeRunner:
    return FakeRunner(SPEC, read_options(options), opening, probe)


def _opened(workload: Workload, folder: Path, times: int, **options: Value) -> list[bytes]:
    """The samples of a block of the baseline, for each time that it is opened."""
    backend = Fake(Settings(options), folder)
    candidate: Candidate = baseline_of(backend.dimensions(workload, concurrent=False))
    backend.build(workload.model.file.path, workload, candidate, folder, lambda _: None)
    runs = (backend.open(folder, workload, candidate.run, {}) for _ in range(times))
    return [runner.block(0.1).latency_ms.tobytes() for runner in runs]


def _median(block: Block) -> float:
    return float(np.median(block.latency_ms))


def test_each_opening_of_an_engine_has_samples_of_its_own(workload: Workload, tmp_path: Path) -> None:
    assert len(set(_opened(workload, tmp_path, 5))) == 5


def test_a_fresh_folder_replays_every_opening(workload: Workload, tmp_path: Path) -> None:
    folders = [tmp_path / name for name in ("one", "other")]
    for folder in folders:
        folder.mkdir()
    first, second = (_opened(workload, folder, 4) for folder in folders)
    assert first == second
    assert not set(_opened(workload, folders[0], 4)) & set(first)


def test_openings_by_several_processes_are_counted_once_each(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from engines.backends.simulated import count_opening;"
        "print(*(count_opening(Path(sys.argv[1], 'n')) for _ in range(200)))"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    counted = [int(count) for process in running for count in process.communicate()[0].split()]
    assert sorted(counted) == list(range(600))


def test_runs_spread_as_asked() -> None:
    medians = [
        _median(_runner(Settings(QUIET, run_noise=0.05), opening).block(0.1)) for opening in range(400)
    ]
    assert np.std(np.log(medians)) == pytest.approx(0.05, rel=0.15)


def test_a_quiet_machine_gives_its_true_value() -> None:
    block = _runner(QUIET).block(0.1)
    assert block.latency_ms == pytest.approx(latency_ms(SPEC))


def test_the_machine_drifts_with_each_opening() -> None:
    drifting = Settings(QUIET, drift=0.01)
    first, tenth = (_median(_runner(drifting, opening).block(0.0)) for opening in (0, 10))
    assert tenth / first == pytest.approx(1.01**10)


def test_a_delay_is_added_to_one_choice_alone() -> None:
    delayed = read_options(Settings(delay_ms=0.5))
    growth = {
        aux: latency_ms(spec, delayed) - latency_ms(spec)
        for aux in (0, 1, 2, 4)
        for spec in [Settings(SPEC, max_aux_streams=aux)]
    }
    assert growth == pytest.approx({0: 0.0, 1: 0.0, 2: 0.0, 4: 0.5})


def test_cold_caches_cost_three_tenths() -> None:
    runner = _runner(QUIET)
    hot, cold = runner.block(0.1), runner.block(0.1, cold=True)
    assert _median(cold) / _median(hot) == pytest.approx(1.3)


NUMBERS = {
    **dict.fromkeys(("noise", "run_noise", "throttle", "waiting", "fault_rate"), (-0.01, 1.01)),
    "drift": (-0.51, 1.01),
    **dict.fromkeys(("delay_ms", "trial_seconds", "build_seconds"), (-0.01,)),
    "seed": (),
}


def test_every_number_has_its_range() -> None:
    numbers = {of.name for of in fields(Options) if isinstance(of.default, int | float)}
    assert numbers == NUMBERS.keys() == RANGES.keys()


@pytest.mark.parametrize("name", NUMBERS)
def test_what_an_option_cannot_be_is_the_users_mistake(name: str) -> None:
    for value in NUMBERS[name]:
        with pytest.raises(
            UserError, match=f"^{name} of the backend fake is (from|at least) .*, not {value}"
        ):
            read_options(Settings({name: value}))
    for none in ("nan", "1e", math.nan, math.inf, -math.inf, True):
        with pytest.raises(UserError, match=f"^{name} of the backend fake is a number, not "):
            read_options(Settings({name: none}))


@pytest.mark.parametrize("name", NUMBERS)
def test_an_option_may_be_either_end_of_its_range(name: str) -> None:
    for end in filter(math.isfinite, RANGES[name]):
        assert getattr(read_options(Settings({name: end})), name) == end


@pytest.mark.parametrize("name", ["faults", "inert"])
def test_a_number_is_no_name(name: str) -> None:
    with pytest.raises(UserError, match="'7'"):
        read_options(Settings({name: 7}))


def test_energy_is_power_times_time() -> None:
    probe = FakeProbe()
    runner = _runner(probe=probe)
    before = probe.read()
    block = runner.block(0.1)
    found = between(before, probe.read())
    assert found["power_w"] == pytest.approx(300.0)
    assert found["energy_mj"] == pytest.approx(300e3 * block.span_seconds)
    assert disturbance(before, probe.read()) == ""


def test_the_share_of_blocks_asked_for_is_throttled_and_slower() -> None:
    probe = FakeProbe()
    runner = _runner(Settings(QUIET, throttle=0.3), probe=probe)
    found: dict[str, list[float]] = {"": [], "throttled: hw_thermal_slowdown": []}
    for _ in range(500):
        block, reading = runner.block(0.0), probe.read()
        found[disturbance(reading, reading)].append(_median(block))
    fast, slow = found.values()
    assert len(slow) / 500 == pytest.approx(0.3, abs=0.07)
    assert min(slow) == pytest.approx(1.25 * max(fast))


def test_a_backend_is_read_as_its_runners_leave_it(workload: Workload, tmp_path: Path) -> None:
    backend = Fake(NOTHING, tmp_path)
    candidate = baseline_of(backend.dimensions(workload, concurrent=False))
    backend.build(workload.model.file.path, workload, candidate, tmp_path, lambda _: None)
    before = backend.probe().read()
    block = backend.open(tmp_path, workload, candidate.run, {}, Policy()).block(0.1)
    after = backend.probe().read()
    assert after.at - before.at == pytest.approx(block.span_seconds)


def test_an_engine_with_the_late_fault_is_right_until_it_was_timed() -> None:
    runner = FakeRunner(SPEC, fault="late")
    inputs: Tensors = {"x": np.ones(4, np.float32)}
    right = FakeRunner(SPEC).infer(inputs)["output"]
    np.testing.assert_array_equal(runner.infer(inputs)["output"], right)
    runner.block(0.01)
    assert not np.allclose(runner.infer(inputs)["output"], right, rtol=0.1)
