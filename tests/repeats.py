"""Made-up studies in which more was measured than the trials: self-test, anchors, finals, telemetry."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from engines.core.results import Block, Evaluation, Measurement
from studies.core.records import RepeatRecord, RepeatRole, StudyRecord, TrialRecord
from studies.finals.select import finalists
from tests.records import START, candidate, measured, record, study_of, study_record

THROTTLED = "throttled: hw_thermal_slowdown"


def thorough_study(
    trials: int = 24,
    *,
    seed: int = 0,
    drift: float = 0.0,
    rebuilds: int = 2,
    luck: float = 1.0,
    sessions: int = 5,
    constraints: Sequence[str] = (),
) -> StudyRecord:
    """A study with everything: `drift` is the baseline's relative change over all trials, `luck` what the
    second and later builds take of the first one's time.
    """
    random = np.random.default_rng(seed)
    study = with_telemetry(with_racing(study_record(trials, seed=seed, failing=0.1, constraints=constraints)))
    study = with_baseline_again(study, random, drift=drift)
    return with_finals(study, random, rebuilds=rebuilds, luck=luck, sessions=sessions)


def close_study(
    factors: Sequence[float] = (1.0, 1.0, 1.03),
    *,
    seed: int = 0,
    objectives: Sequence[str] = (),
    constraints: Sequence[str] = (),
    **finals: Any,
) -> StudyRecord:
    """A baseline of 3.2 ms, three trials of 1.6 ms, and finals in which they take that many times as long."""
    random = np.random.default_rng(seed)
    candidates = [candidate("int8", "all", threads, True) for threads in (1, 4, 8)]
    made = [measured(candidate("fp32", "all", 2, True), random, latency_ms=3.2, error=0.0)]
    made += [measured(one, random, latency_ms=1.6, error=0.001) for one in candidates]
    study = with_baseline_again(study_of(*made, objectives=objectives, constraints=constraints), random)
    return with_finals(study, random, factors=factors, **finals)


def with_gap(study: StudyRecord, after: int = 1, missing: int = 3) -> StudyRecord:
    """The study while some trials are still under way: later ones, and their repeats, have higher numbers."""

    def number(old: int) -> int:
        return old if old <= after else old + missing

    trials = tuple(
        replace(one, number=number(one.number), same_as=None if one.same_as is None else number(one.same_as))
        for one in study.trials
    )
    repeats = tuple(replace(one, trial=number(one.trial)) for one in study.repeats)
    return replace(study, trials=trials, repeats=repeats)


def with_waits(evaluation: Evaluation) -> Evaluation:
    """As beside another process: a third of the inferences takes twice as long."""
    found = evaluation.measurement
    assert found is not None
    blocks = [replace(one, latency_ms=one.latency_ms.copy()) for one in found.blocks]
    for block in blocks:
        block.latency_ms[::3] *= 2
    return replace(evaluation, measurement=replace(found, blocks=tuple(blocks)))


def with_racing(study: StudyRecord) -> StudyRecord:
    """Trials that take 1.3 times as long as the best by then are stopped after three blocks."""
    best, trials = float("inf"), []
    for trial in study.trials:
        found = trial.metrics.get("latency_ms")
        is_behind = found is not None and found.value > 1.3 * best
        if found is not None and trial.state == "feasible":
            best = min(best, found.value)
        trials.append(with_measurement(study, trial, cut_short) if is_behind else trial)
    return replace(study, trials=tuple(trials))


def with_telemetry(study: StudyRecord) -> StudyRecord:
    """Clocks, power and temperature of every block; trial 1 was throttled, trial 4 once."""
    changes = {1: _throttled_at_last, 4: _throttled_once}

    def changed(trial: TrialRecord) -> TrialRecord:
        if trial.measurement is None:
            return trial
        told = with_measurement(study, trial, _told)
        return with_measurement(study, told, changes[trial.number]) if trial.number in changes else told

    return replace(study, trials=tuple(changed(trial) for trial in study.trials))


def with_baseline_again(
    study: StudyRecord, random: np.random.Generator, *, drift: float = 0.0, runs: int = 5, every: int = 5
) -> StudyRecord:
    """The self-test after trial 0, and an anchor every so many trials."""
    first, last = study.trials[0], study.trials[-1]
    ended = first.started_at + timedelta(seconds=first.seconds)
    repeats = [
        _again(study, 1, "self-test", ended + timedelta(seconds=(run + 1) / 20), random)
        for run in range(runs)
    ]
    whole = (last.started_at - first.started_at) or timedelta(seconds=1)
    for trial in study.trials[every::every]:
        level = 1 + drift * ((trial.started_at - first.started_at) / whole)
        repeats.append(_again(study, trial.number, "anchor", trial.started_at, random, level))
    return replace(study, repeats=(*study.repeats, *repeats))


def with_finals(
    study: StudyRecord,
    random: np.random.Generator,
    *,
    rebuilds: int = 0,
    luck: float = 1.0,
    sessions: int = 5,
    factors: Sequence[float] = (),
) -> StudyRecord:
    """The finals; `factors` multiply the times of the finalists, the best trial's first."""
    entries = [
        (trial, build)
        for trial in finalists(study, 4)
        for build in range(1 + (rebuilds if trial.number else 0))
    ]
    chosen = [trial.number for trial in finalists(study, 4)]
    at = study.trials[-1].started_at + timedelta(seconds=10)
    repeats = []
    for session in range(sessions):
        common = float(random.lognormal(0, 0.01))
        for trial, build in entries:
            place = chosen.index(trial.number)
            factor = factors[place - 1] if place and place <= len(factors) else 1.0
            centre = trial.metrics["latency_ms"].value * common * factor * (luck if build else 1.0)
            centre *= float(random.lognormal(0, 0.001))
            error = trial.metrics["error"].value
            made = measured(trial.candidate, random, latency_ms=centre, error=error)
            when = at + timedelta(seconds=5 * session)
            repeats.append(RepeatRecord(trial.number, "final", len(study.trials), session, build, made, when))
    return replace(study, repeats=(*study.repeats, *repeats))


def with_measurement(
    study: StudyRecord, trial: TrialRecord, change: Callable[[Measurement], Measurement]
) -> TrialRecord:
    """The trial as if its measurement had been changed like this."""
    assert trial.measurement is not None
    evaluation = replace(trial.evaluation, measurement=change(trial.measurement))
    elapsed = (trial.started_at - START).total_seconds()
    return record(study.spec, trial.number, evaluation, elapsed)


def cut_short(measurement: Measurement) -> Measurement:
    return replace(measurement, blocks=measurement.blocks[:3], pruned=True, converged=False)


def throttled(block: Block) -> Block:
    telemetry = {**block.telemetry, "clock_mhz": 1200.0, "throttled_hw_thermal_slowdown": 1.0}
    return replace(block, telemetry=telemetry, disturbed=THROTTLED)


def _throttled_at_last(measurement: Measurement) -> Measurement:
    return replace(measurement, blocks=(*measurement.blocks[:-1], throttled(measurement.blocks[-1])))


def _throttled_once(measurement: Measurement) -> Measurement:
    return replace(measurement, discarded=(throttled(measurement.blocks[0]),))


def _told(measurement: Measurement) -> Measurement:
    blocks = [_with_telemetry(block, index) for index, block in enumerate(measurement.blocks)]
    return replace(measurement, blocks=tuple(blocks))


def _with_telemetry(block: Block, index: int) -> Block:
    telemetry = {
        "clock_mhz": 1500.0 - index,
        "memory_clock_mhz": 2600.0,
        "power_w": 300.0 + index,
        "temperature_c": 60.0,
        "energy_mj": 300.0 * block.span_seconds * 1e3,
        "waited_seconds": 0.01 * block.span_seconds,
        "throttled_sw_power_cap": 1.0,
    }
    return replace(block, telemetry=telemetry)


def _again(
    study: StudyRecord,
    after: int,
    role: RepeatRole,
    at: datetime,
    random: np.random.Generator,
    level: float = 1.0,
) -> RepeatRecord:
    centre = study.trials[0].metrics["latency_ms"].value * level * float(random.lognormal(0, 0.003))
    made: Evaluation = measured(study.spec.baseline, random, latency_ms=centre, error=0.0)
    return RepeatRecord(0, role, after, 0, 0, made, at)
