"""What a study found, in sentences: the same words for the page, its charts and the command."""

from collections import Counter
from collections.abc import Mapping, Sequence

from dashboards.words.formats import estimate, factor, interval, plural, unit_of
from engines.statistics.estimates import Estimate
from engines.statistics.metrics import Adjective
from studies.analysis.comparison import Comparison, objective_value
from studies.analysis.view import StudyView
from studies.core.metrics import METRICS, names_where
from studies.core.records import Objective, Prior, StudyRecord, TrialRecord
from studies.finals.verdict import verdict_of

# of each adjective what is better, and what is worse
COMPARATIVES: Mapping[Adjective, tuple[str, str]] = {
    "fast": ("faster", "slower"),
    "small": ("smaller", "larger"),
    "large": ("larger", "smaller"),
}


def verdict(view: StudyView) -> str:
    """Return one sentence: whether the best trial beats the baseline, by how much, and how sure that is."""
    study, found = view.study, view.comparison
    if not study.trials:
        return "No trial has finished yet."
    if found.best is None:
        return f"No trial is feasible: {counted(study)}{_most_missed(study)}."
    if found.verdict == "no baseline" or found.baseline is None:
        value = value_of(found.best, found.objective)
        return f"The baseline has no value to compare with; the best is trial {found.best.number} at {value}."
    if found.best.candidate == found.baseline.candidate:
        alone = all(trial.candidate == found.baseline.candidate for trial in study.trials)
        return "Only the baseline was tried so far." if alone else "Nothing beats the baseline: keep it."
    return _compared(found, found.best)


def headline(view: StudyView) -> str:
    """Return the verdict in a few words, such as how many times faster."""
    found = view.comparison
    if found.verdict in ("no baseline", "nothing feasible"):
        return "Nothing to compare with" if found.best else "Nothing feasible"
    if found.verdict == "same":
        return "As good as the baseline" if _baseline_misses(found) else "Keep the baseline"
    return f"{_by_how_much(found)}{' (unproven)' if found.verdict == 'unproven' else ''}"


def priors(earlier: Sequence[Prior]) -> str:
    """Return the earlier studies used, with similarity and the number of trials from each."""
    return ", ".join(
        f"{one.study} (similarity {one.similarity:.2f}, {plural(one.observations, 'trial')})"
        for one in earlier
    )


def prior_notes(earlier: Sequence[Prior], goes_on: bool) -> tuple[str, ...]:
    """Return notes on the earlier studies that a search begins with; empty without any."""
    if not earlier:
        return ()
    verb = "goes on" if goes_on else "begins"
    count = plural(len(earlier), "earlier study", "earlier studies")
    said = priors(earlier)
    return (f"{verb} with what {count} on this machine showed: {said}; --no-prior leaves them out",)


def counted(study: StudyRecord) -> str:
    """Return how many trials there are of each state, those with none left out."""
    counts = {state: count(study, state) for state in ("feasible", "infeasible", "failed")}
    return ", ".join(f"{number:,} {state}" for state, number in counts.items() if number) or "no trials"


def count(study: StudyRecord, state: str) -> int:
    return sum(trial.state == state for trial in study.trials)


def value_of(trial: TrialRecord, objective: Objective) -> str:
    """Return the trial's objective with its interval and unit."""
    return estimate(objective_value(trial, objective), unit_of(objective.metric))


def comparative(objective: Objective, better: bool = True) -> str:
    """Return the comparative for the objective, such as faster or slower."""
    return COMPARATIVES[quality(objective)][0 if better else 1]


def missed(trial: TrialRecord) -> str:
    """Return the constraints that the trial misses, with the values that it has instead."""
    parts = []
    needs_many = names_where(lambda one: one.requires == "certify")
    for constraint in trial.violations:
        metric = constraint.replace(">=", "<=").split("<=")[0]
        value = estimate(trial.metrics.get(metric), unit_of(metric))
        unknown = metric in needs_many and metric not in trial.metrics
        parts.append(f"{constraint} ({'too few samples to tell' if unknown else f'is {value}'})")
    return ", ".join(parts)


def _most_missed(study: StudyRecord) -> str:
    counts = Counter(constraint for trial in study.trials for constraint in trial.violations)
    return "".join(f"; {number:,} miss {constraint}" for constraint, number in counts.most_common(1))


def _compared(found: Comparison, best: TrialRecord) -> str:
    speedup = found.speedup or Estimate(1.0)
    if found.verdict == "same":
        ending = f"{_certainty(found, speedup)}{_too_small(found, speedup)}"
        return f"{_no_difference(found, best)} as {quality(found.objective)}{ending}."
    if found.verdict == "unproven":
        return (
            f"Trial {best.number} looks {_by_how_much(found)} than the baseline, "
            "but was not measured long enough for an interval."
        )
    beginning = f"Trial {best.number}" if found.verdict == "faster" else "The best feasible trial"
    ending = ", which misses a constraint" if _baseline_misses(found) else ""
    certain = _certainty(found, speedup if speedup.value >= 1 else _inverse(speedup))
    return f"{beginning} is {_by_how_much(found)} than the baseline{ending}{certain}."


def _no_difference(found: Comparison, best: TrialRecord) -> str:
    ratio = factor(found.speedup or Estimate(1.0))
    if _baseline_misses(found):
        return f"Trial {best.number} keeps the constraints that the baseline misses, and is {ratio}"
    return f"No significant difference from the baseline: keep it. Trial {best.number}, the best, is {ratio}"


def _baseline_misses(found: Comparison) -> bool:
    return found.baseline is not None and found.baseline.state == "infeasible"


def _certainty(found: Comparison, ratio: Estimate) -> str:
    sessions = f", {plural(found.finals.sessions, 'session')}" if found.finals else ""
    return f" ({interval(ratio)}{sessions})" if interval(ratio) else ""


def _too_small(found: Comparison, speedup: Estimate) -> str:
    """Return why the verdict is "no difference" although the interval excludes 1."""
    if found.finals is not None or verdict_of(speedup) == "same":
        return ""
    return ", less than this machine can tell apart when each is measured once"


def _inverse(ratio: Estimate) -> Estimate:
    low, high = (1 / bound if bound else None for bound in (ratio.high, ratio.low))
    return Estimate(1 / ratio.value, low, high)


def _by_how_much(found: Comparison) -> str:
    if found.speedup is None:
        return comparative(found.objective, better=_looks_better(found))
    better = found.speedup.value >= 1
    ratio = found.speedup if better else _inverse(found.speedup)
    return f"{factor(ratio)} {comparative(found.objective, better=better)}"


def _looks_better(found: Comparison) -> bool:
    before, after = (
        objective_value(trial, found.objective) if trial is not None else None
        for trial in (found.baseline, found.best)
    )
    if before is None or after is None:
        return False
    return (after.value < before.value) == (found.objective.direction == "minimize")


def quality(objective: Objective) -> Adjective:
    """Return the adjective of a good engine: fast for a latency, small or large for a user's metric."""
    if objective.metric in METRICS:
        return METRICS[objective.metric].adjective
    return "small" if objective.direction == "minimize" else "large"
