"""The top of a study's page: what was found, against what, where, and what went wrong."""

from collections.abc import Sequence

from markupsafe import Markup

from dashboards.html.document import element, sentence
from dashboards.words import evidence, finalists, formats, verdict
from engines.core.results import Failure
from engines.core.values import Dimension, Value
from studies.analysis.comparison import finite
from studies.analysis.effects import chosen
from studies.analysis.view import StudyView
from studies.core.metrics import DEFAULT_ERROR
from studies.core.records import StudyRecord, TrialRecord
from studies.finals.verdict import Finalist


def verdict_card(view: StudyView) -> Markup:
    """Return what was found, in a sentence, with its evidence."""
    study, found = view.study, view.comparison
    pairs = [("trials", f"{len(study.trials):,}")]
    pairs += [(state, f"{verdict.count(study, state):,}") for state in ("feasible", "infeasible", "failed")]
    return element(
        "section",
        element("p", verdict.headline(view), class_="headline"),
        element("p", sentence(verdict.verdict(view)), class_="sentence"),
        _evidence(view),
        element("dl", *(_figure(name, value) for name, value in pairs), class_="counts"),
        class_=f"verdict {found.verdict.replace(' ', '-')}",
    )


def _evidence(view: StudyView) -> Markup:
    lines = [element("li", sentence(text)) for text in evidence.sentences(view)]
    return element("ul", *lines, class_="evidence") if lines else Markup()


def _figure(name: str, value: str) -> Markup:
    return element(
        "div",
        element("dt", name),
        element("dd", value),
    )


def settings_card(view: StudyView) -> Markup:
    """Return the best candidate's metrics and settings beside the baseline's."""
    study, found, reference = view.study, view.best, view.baseline
    other = found if found is not reference else None
    heads = ["", "baseline", *([f"trial {other.number}, the best"] if other else [])]
    trials = [reference, *([other] if other else [])]
    rows = [_metric_row(metric, trials) for metric in shown_metrics(study)]
    dimensions = sorted(study.spec.space, key=lambda dimension: not _changes(study, dimension, other))
    rows += [_setting_row(study, dimension, other) for dimension in dimensions]
    if any(trial.kept_fp32 for trial in trials if trial):
        rows.append(_kept_row(trials))
    table = element(
        "table",
        element("thead", element("tr", *(element("th", head, scope="col") for head in heads))),
        element("tbody", *rows),
        class_="settings",
    )
    hint = element("p", "What the best changes is marked.", class_="hint") if other else ""
    title = "The best against the baseline" if other else "The baseline"
    return _section(title, hint, _wide(table))


def shown_metrics(study: StudyRecord) -> tuple[str, ...]:
    """Return the metrics that the study is about: objectives, what constraints limit, and the error."""
    named = [objective.metric for objective in study.spec.objectives]
    named += [constraint.metric for constraint in study.spec.constraints]
    return tuple(dict.fromkeys([*named, DEFAULT_ERROR]))


def _metric_row(metric: str, trials: Sequence[TrialRecord | None]) -> Markup:
    cells = [formats.metric(metric, finite(trial, metric)) if trial else formats.MISSING for trial in trials]
    head = element("th", metric, scope="row", title=formats.about(metric))
    return element("tr", head, *(element("td", cell) for cell in cells), class_="metric")


def _setting_row(study: StudyRecord, dimension: Dimension, other: TrialRecord | None) -> Markup:
    head = element("th", dimension.name, scope="row", title=dimension.about)
    before = element("td", formats.setting(_before(study, dimension)))
    if other is None:
        return element("tr", head, before)
    after = formats.setting(chosen(other, dimension))
    if not _changes(study, dimension, other):
        return element("tr", head, before, element("td", after))
    return element(
        "tr", head, before, element("td", element("strong", after), " ", _mark("changed")), class_="changed"
    )


def _kept_row(trials: Sequence[TrialRecord | None]) -> Markup:
    cells = (element("td", ", ".join(trial.kept_fp32) if trial else "") for trial in trials)
    title = "Nodes of the lowered graph that stayed in FP32"
    return element("tr", element("th", "kept in FP32", scope="row", title=title), *cells)


def _before(study: StudyRecord, dimension: Dimension) -> Value:
    return study.spec.baseline.settings.get(dimension.name, dimension.default)


def _changes(study: StudyRecord, dimension: Dimension, other: TrialRecord | None) -> bool:
    return other is not None and chosen(other, dimension) != _before(study, dimension)


def _mark(text: str) -> Markup:
    return element("span", text, class_="mark")


def front_card(view: StudyView) -> Markup | None:
    """Return the trials on the Pareto front; None for one objective."""
    names = [objective.metric for objective in view.study.spec.objectives]
    if len(names) < 2:
        return None
    rows = [
        element(
            "tr",
            element("th", trial_link(trial), scope="row"),
            *(element("td", formats.metric(name, finite(trial, name))) for name in names),
        )
        for trial in view.pareto_front
    ]
    head = element("tr", *(element("th", name, scope="col") for name in ("trial", *names)))
    table = element("table", element("thead", head), element("tbody", *rows), class_="settings")
    hint = element("p", "No other feasible trial is better in every objective.", class_="hint")
    return _section(f"Pareto front: {formats.plural(len(rows), 'trial')}", hint, _wide(table))


def finals_card(view: StudyView) -> Markup | None:
    """Return the finalists with what measuring them in turn showed; None without finals."""
    study, held = view.study, view.finals
    if held is None:
        return None
    objective = study.spec.objectives[0]
    told = finalists.rows(study, held)
    shown = [index for index, _ in enumerate(finalists.COLUMNS) if any(row[index] for _, row in told)]
    head = [element("th", finalists.COLUMNS[index], scope="col") for index in shown]
    rows = [
        element(
            "tr",
            element("th", _linked(one, row.name), scope="row"),
            *(element("td", row[index]) for index in shown[1:]),
            class_="changed" if finalists.is_winner(one, held) else None,
        )
        for one, row in told
    ]
    table = element(
        "table", element("thead", element("tr", *head)), element("tbody", *rows), class_="settings finals"
    )
    hint = (
        f"{objective.metric} in {formats.plural(held.sessions, 'session')}: each loads every finalist in a "
        "process of its own and times all of them in turn. Ratios of more than 1 are better; intervals are "
        "95 % for all comparisons at once."
    )
    # what is said of the winner stands with the verdict
    built = [
        element("p", sentence(evidence.rebuilt_sentence(one, objective)))
        for one in view.rebuilt
        if one.trial != held.winner.trial
    ]
    return _section(
        "Finalists, measured again in turn", element("p", hint, class_="hint"), _wide(table), *built
    )


def _linked(one: Finalist, name: str) -> Markup:
    return element("a", name.capitalize(), href=f"#trial-{one.trial}")


def failures_card(view: StudyView) -> Markup | None:
    """Return the trials that failed or miss a constraint, and why; None where there are none."""
    trials = view.study.trials
    failed = [_failure_line(trial, trial.failure) for trial in trials if trial.failure]
    missed = [_missed_line(trial) for trial in trials if trial.state == "infeasible"]
    groups = (("failed", failed), ("infeasible", missed))
    shown = [_listed(state, lines) for state, lines in groups if lines]
    return _section("Failed and infeasible", *shown) if shown else None


def _listed(state: str, lines: Sequence[Markup]) -> Markup:
    title = element("summary", f"{formats.plural(len(lines), 'trial')} {state}")
    return element("details", title, element("ul", *lines), class_=f"listed {state}", open=len(lines) <= 12)


def _failure_line(trial: TrialRecord, failure: Failure) -> Markup:
    kind = failure.kind.replace("_", " ")
    hint = element("span", f" {failure.hint}", class_="hint") if failure.hint else ""
    label = _mark(f"{failure.stage}: {kind}")
    return element("li", trial_link(trial), " ", label, f" {failure.message}", hint, _log(trial.log))


def _log(text: str, most_lines: int = 12, most_characters: int = 1200) -> Markup:
    """Return the end of a failed trial's log, folded away."""
    end = "\n".join(text.rstrip().splitlines()[-most_lines:])[-most_characters:]
    if not end:
        return Markup()
    return element("details", element("summary", "log"), element("pre", end), class_="log")


def _missed_line(trial: TrialRecord) -> Markup:
    return element("li", trial_link(trial), f" misses {verdict.missed(trial)}")


def trial_link(trial: TrialRecord) -> Markup:
    """Return a link to the trial's row in the table."""
    return element("a", f"Trial {trial.number}", href=f"#trial-{trial.number}")


def _section(title: str, *children: str) -> Markup:
    return element("section", element("h2", title), *children, class_="card")


def _wide(table: Markup) -> Markup:
    return element("div", table, class_="scroll")
