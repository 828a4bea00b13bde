"""Estimate noise, drift and speed of each device that a study is measured on, from the baseline's runs there.

The device of trial 0 is the study's own; measurements on another one are taken relative to the baseline
there.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from engines.statistics.estimates import Estimate
from studies.belief.noise import (
    Drift,
    Noise,
    RunsOfBaseline,
    baseline_runs,
    drift_in,
    freed,
    home_of,
    noise_in,
    on_device,
    widened,
)
from studies.core.metrics import is_timed
from studies.core.records import RepeatRecord, StudyRecord, TrialRecord


@dataclass(frozen=True)
class DeviceBelief:
    """Noise and drift of the first objective on one device; None if not known.

    `levels` are the baseline's metrics there divided by those on the study's own device, 1 where missing.
    """

    noise: Noise | None = None
    drift: Drift | None = None
    levels: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Beliefs:
    """What is known of each device by its name; `home` is the study's own.

    Rows of older versions name no device (""): they count as measured on the study's own.
    """

    home: str = ""
    devices: Mapping[str, DeviceBelief] = field(default_factory=dict)

    def of(self, device: str) -> DeviceBelief:
        return self.devices.get(device or self.home, DeviceBelief())

    @property
    def noise(self) -> Noise | None:
        """Return the noise on the study's own device."""
        return self.of(self.home).noise

    @property
    def drift(self) -> Drift | None:
        """Return the drift on the study's own device."""
        return self.of(self.home).drift

    def freed(self, estimate: Estimate, trial: TrialRecord, metric: str) -> Estimate:
        """Return the first objective of the trial, corrected for drift and converted to the study's own
        device.
        """
        return self.at_home(freed(estimate, trial, self.of(trial.device).drift), trial, metric)

    def at_home(self, estimate: Estimate, trial: TrialRecord, metric: str) -> Estimate:
        """Return a metric of the trial, converted to the study's own device."""
        level = self.of(trial.device).levels.get(metric, 1.0)
        if level == 1.0:
            return estimate
        low, high = (None if bound is None else bound / level for bound in (estimate.low, estimate.high))
        return Estimate(estimate.value / level, low, high)

    def widened(self, estimate: Estimate, trial: TrialRecord) -> Estimate:
        """Return the trial's estimate with the run-to-run noise of its device added."""
        return widened(estimate, self.of(trial.device).noise)


NOTHING_BELIEVED = Beliefs()


def beliefs(study: StudyRecord) -> Beliefs:
    """Return what the study's repeats show of its devices."""
    metrics = [objective.metric for objective in study.spec.objectives]
    return beliefs_in(study.trials, study.repeats, metrics)


def beliefs_in(
    trials: Sequence[TrialRecord],
    repeats: Sequence[RepeatRecord],
    metrics: Sequence[str],
    default: str = "",
) -> Beliefs:
    """Return what the repeats show of each device; the baseline is the first of the trials.

    `metrics` are those of the objectives; `default` is the study's own device where no row names one.
    """
    home = home_of(trials, repeats) or default
    names = dict.fromkeys([home, *(one.device or home for one in repeats)])
    runs = {name: on_device(name, home, trials, repeats) for name in names}
    return Beliefs(
        home,
        {
            name: DeviceBelief(
                noise_in(*mine, metrics[0]), drift_in(*mine, metrics[0]), _levels(mine, runs[home], metrics)
            )
            for name, mine in runs.items()
        },
    )


def _levels(mine: RunsOfBaseline, home: RunsOfBaseline, metrics: Sequence[str]) -> dict[str, float]:
    """Return the geometric mean of the baseline's runs divided by that on the own device, for timed
    metrics.
    """
    if mine is home:
        return {}
    pairs = {metric: (_mean_log(mine, metric), _mean_log(home, metric)) for metric in metrics}
    return {
        metric: math.exp(here - there)
        for metric, (here, there) in pairs.items()
        if here is not None and there is not None
    }


def _mean_log(runs: RunsOfBaseline, metric: str) -> float | None:
    """Return the mean logarithm, corrected for drift; None if not timed or not measured."""
    if not is_timed(metric):
        return None
    change = drift_in(*runs, metric)
    values = [
        (run.value if change is None else change.freed(run.value, run.at)).value
        for run in baseline_runs(*runs, metric)
    ]
    return float(np.mean(np.log(values))) if values and min(values) > 0 else None
