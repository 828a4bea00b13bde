"""One entry in the table is all that a new metric takes."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

import tuner
from engines.core.errors import UserError
from engines.core.results import Measurement
from engines.statistics import metrics
from engines.statistics.estimates import Estimate
from engines.statistics.metrics import Metric
from tests.command import Command

NAME = "spread"
SEARCH = ("--study", "net", "--backend", "fake", "--trials", 6, "--min-gain", 0, "--seed", 1)


def _spread(measurement: Measurement) -> Estimate:
    return Estimate(float(np.ptp(np.concatenate([block.latency_ms for block in measurement.blocks])) * 1e3))


@pytest.fixture
def spread(monkeypatch: pytest.MonkeyPatch) -> Metric:
    """A metric that nothing but the table knows."""
    made = Metric(
        name=NAME,
        unit="furlongs",
        better="minimize",
        about="from the shortest latency to the longest",
        source="measurement",
        derive=_spread,
        adjective="small",
    )
    monkeypatch.setitem(metrics.METRICS, NAME, made)
    return made


@pytest.mark.usefixtures("spread")
def test_it_can_be_objective_and_constraint_and_is_shown_with_its_unit(command: Command, model: Path) -> None:
    named = ("--objective", NAME, "--constraint", f"{NAME}<=1e9")
    ended = command("search", model, *SEARCH, *named)
    assert ended.code == 0, ended.err
    assert f"{NAME} " in ended.out
    assert "furlongs" in ended.out
    (report,) = Path().rglob("*.html")
    page = report.read_text(encoding="utf-8")
    assert "from the shortest latency to the longest (furlongs)" in page
    assert f"{NAME}&lt;=1e+09" in page or f"{NAME}<=1e+09" in page

    document = command("show", "net", "--json").document
    assert document["objectives"] == [{"metric": NAME, "direction": "minimize"}]
    trials = [trial for trial in document["trials"] if trial["state"] == "feasible"]
    assert trials
    assert all(trial["metrics"][NAME]["value"] > 0 for trial in trials)


@pytest.mark.usefixtures("spread")
def test_a_limit_on_it_that_no_trial_keeps_leaves_none_feasible(model: Path, tmp_path: Path) -> None:
    search = partial(tuner.search, model, trials=2, backend="fake", workspace=tmp_path / "w")
    result = search(constraints=(f"{NAME}<=1e-9",))
    assert result.best is None
    assert all(f"{NAME}<=1e-09" in trial.violations for trial in result.study.trials)


def test_metric_without_entry_is_unknown(model: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"unknown metric '{NAME}'"):
        tuner.search(model, objectives=(NAME,), backend="fake", workspace=tmp_path / "w")
