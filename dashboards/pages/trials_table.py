"""Every trial in one table, which the page's script can sort and filter: one entry a column."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from markupsafe import Markup

from dashboards.html.document import element
from dashboards.pages.facts import searched_dimensions
from dashboards.pages.summary import shown_metrics
from dashboards.words import formats, verdict
from dashboards.words.telemetry import how_measured, marks_of, states, throttled
from engines.core.values import Dimension
from engines.statistics.estimates import sample_count
from studies.analysis.comparison import finite
from studies.analysis.effects import chosen
from studies.analysis.view import StudyView
from studies.core.metrics import METRICS
from studies.core.records import StudyRecord, TrialRecord


class Cell(NamedTuple):
    """What is shown, and what a column of numbers is sorted by (None: no value, sorted last)."""

    text: str
    value: float | None = None


@dataclass(frozen=True)
class Column:
    """`numeric` columns are sorted by the cells' values, the others by what they show."""

    title: str
    about: str
    cell: Callable[[TrialRecord], Cell]
    numeric: bool = True


def table(view: StudyView) -> Markup:
    """Return the table with its filter."""
    study, roles = view.study, view.roles
    shown = columns(study)
    body = [_row(trial, roles[trial.number], shown) for trial in study.trials]
    head = element("tr", *(_head(column) for column in shown))
    made = element("table", element("thead", head), element("tbody", *body), class_="trials", id="trials")
    return element(
        "section",
        element("h2", "All trials"),
        _filter(len(study.trials)),
        element("div", made, class_="scroll tall", tabindex="0", role="region", aria_label="All trials"),
        class_="card",
    )


def columns(study: StudyRecord) -> tuple[Column, ...]:
    """Return the columns of the study's table, in their order."""
    return (
        Column(
            "trial",
            "number in the order of the search",
            lambda trial: _number(trial.number, str(trial.number)),
        ),
        Column("state", "feasible, infeasible or failed", _state, numeric=False),
        *(_metric_column(metric) for metric in shown_metrics(study)),
        *(_dimension_column(dimension) for dimension in searched_dimensions(study)),
        *(column for column in _MEASURED if _is_filled(column, study)),
        Column("engine", METRICS["engine_bytes"].about, _metric_cell("engine_bytes")),
        Column("build", METRICS["build_seconds"].about, _metric_cell("build_seconds")),
        Column(
            "total",
            "time of the whole trial",
            lambda trial: _number(trial.seconds, formats.duration(trial.seconds)),
        ),
        Column("stages", "time of each stage, in seconds", _stages, numeric=False),
        Column("what went wrong", "constraints missed, or the failure", _trouble, numeric=False),
    )


def _metric_column(metric: str) -> Column:
    return Column(metric, formats.about(metric), _metric_cell(metric))


def _metric_cell(metric: str) -> Callable[[TrialRecord], Cell]:
    def cell(trial: TrialRecord) -> Cell:
        found = finite(trial, metric)
        return Cell(formats.metric(metric, found), found.value if found else None)

    return cell


def _dimension_column(dimension: Dimension) -> Column:
    numeric = all(
        isinstance(choice, int | float) and not isinstance(choice, bool) for choice in dimension.choices
    )

    def cell(trial: TrialRecord) -> Cell:
        value = chosen(trial, dimension)
        return Cell(formats.setting(value), float(value) if isinstance(value, int | float) else None)

    return Column(dimension.name, dimension.about, cell, numeric=numeric)


def _number(value: float, text: str) -> Cell:
    return Cell(text, value)


def _is_filled(column: Column, study: StudyRecord) -> bool:
    return any(column.cell(trial).text not in ("", formats.MISSING) for trial in study.trials)


def _state(trial: TrialRecord) -> Cell:
    return Cell(", ".join([trial.state, *marks_of(trial)]))


def _samples(trial: TrialRecord) -> Cell:
    if trial.measurement is None:
        return Cell(formats.MISSING)
    count = sample_count(trial.measurement)
    return _number(count, f"{count:,}")


def _measured(trial: TrialRecord) -> Cell:
    return Cell(how_measured(trial.measurement) if trial.measurement else "")


def _short_cell(metric: str) -> Callable[[TrialRecord], Cell]:
    """Return the metric without its interval."""

    def cell(trial: TrialRecord) -> Cell:
        value = trial.metrics[metric].value if metric in trial.metrics else None
        return Cell(formats.quantity(value, formats.unit_of(metric), 3), value)

    return cell


def _variation(trial: TrialRecord) -> Cell:
    found = finite(trial, "variation")
    return _number(found.value, formats.share(found.value)) if found else Cell(formats.MISSING)


def _temperature(trial: TrialRecord) -> Cell:
    told = states(trial.measurement.blocks) if trial.measurement else {}
    found = told.get("temperature_c")
    return _number(found.mean, f"{found.mean:.0f} °C") if found else Cell(formats.MISSING)


def _throttled(trial: TrialRecord) -> Cell:
    return Cell(", ".join(throttled(trial.measurement.blocks)) if trial.measurement else "")


# what no trial has is left out
_MEASURED = (
    Column("samples", "timed inferences that count", _samples),
    Column("variation", formats.about("variation"), _variation),
    Column("clock", formats.about("clock_mhz"), _short_cell("clock_mhz")),
    Column("power", formats.about("power_w"), _short_cell("power_w")),
    Column("temperature", "temperature of the device while it runs", _temperature),
    Column("energy", formats.about("energy_mj"), _short_cell("energy_mj")),
    Column("clocks held by", "why clocks were held down in some blocks", _throttled, numeric=False),
    Column("measured in", "timed blocks, and those discarded as disturbed", _measured, numeric=False),
)


def _stages(trial: TrialRecord) -> Cell:
    spent = trial.evaluation.stage_seconds
    return Cell(", ".join(f"{stage} {formats.number(seconds, 3)}" for stage, seconds in spent.items()))


def _trouble(trial: TrialRecord) -> Cell:
    failure = trial.failure
    if failure is not None:
        return Cell(f"{failure.stage}, {failure.kind.replace('_', ' ')}: {failure.message}")
    return Cell(f"misses {verdict.missed(trial)}" if trial.violations else "")


def _head(column: Column) -> Markup:
    button = element("button", column.title, type="button")
    kind = "number" if column.numeric else "text"
    return element("th", button, scope="col", data_kind=kind, aria_sort="none", title=column.about)


def _row(trial: TrialRecord, role: str, shown: Sequence[Column]) -> Markup:
    cells = [_cell(column, column.cell(trial), role) for column in shown]
    return element("tr", *cells, id=f"trial-{trial.number}", class_=role)


def _cell(column: Column, cell: Cell, role: str) -> Markup:
    text: str = cell.text
    if column.title == "state" and role in ("best", "baseline"):
        text = element("span", f"{cell.text} ", element("span", role, class_=f"mark {role}"))
        return element("td", text)
    if not column.numeric:
        return element("td", text, class_="trouble" if column.title == "what went wrong" else None)
    value = cell.value if cell.value is not None and math.isfinite(cell.value) else None
    return element("td", text, class_="n", data_v=None if value is None else f"{value:.10g}")


def _filter(trials: int) -> Markup:
    count = element("output", formats.plural(trials, "trial"), id="shown", for_="filter", aria_live="polite")
    field = Markup('<input type="search" id="filter" autocomplete="off" placeholder="such as int8 failed">')
    return element("p", element("label", "Filter ", field), " ", count, class_="filter")
