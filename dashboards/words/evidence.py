"""What stands behind the verdict, in sentences: the same words for the page and the command.

Each function gives an empty text where the study has nothing to say of it.
"""

from typing import NamedTuple

import numpy as np

from dashboards.words import deadlines, formats
from dashboards.words.finalists import name_of
from dashboards.words.telemetry import disturbances, is_pruned
from dashboards.words.verdict import comparative, quality
from engines.core.results import Measurement
from engines.statistics.jitter import is_uneven
from studies.analysis.view import StudyView
from studies.belief.gpu_sharing import contention, measured_in
from studies.belief.measurement_plan import MeasurementPlan
from studies.core.records import Objective, StudyRecord
from studies.finals.rebuilds import Rebuilt
from studies.finals.select import finalists
from studies.finals.verdict import FEWEST_SESSIONS, Finalist, verdict_of

NO_WINNER = "The finals have no winner: no finalist was right in all sessions, or they were not enough."
UNFINISHED = "The finals were not held to their end: the same search goes on with them."


def sentences(view: StudyView) -> tuple[str, ...]:
    """Return all sentences of evidence, the most important first."""
    told = (rivals, out, rebuilds, deadline, detectable, drifted, cut_short, disturbed, shared, luck)
    return tuple(text for tell in told if (text := tell(view)))


def rivals(view: StudyView) -> str:
    """Name the finalists that do not differ significantly from the winner."""
    held = view.finals
    if held is None:
        return "" if not _were_held(view) else UNFINISHED if _ended_early(view) else NO_WINNER
    others = [one for one in held.finalists if _is_rival(one) and one is not held.winner]
    if not others:
        return ""
    same = sorted(one.trial for one in others if verdict_of(one.against_winner) == "same")
    objective = view.study.spec.objectives[0]
    if not same:
        beaten = formats.trials(sorted(one.trial for one in others))
        return f"No other finalist is as {quality(objective)} ({beaten})."
    are = "are" if len(same) > 1 else "is"
    winner = name_of(held.winner) if held.winner.trial else "the baseline"
    return (
        f"{formats.trials(same).capitalize()} {are} as {quality(objective)} as {winner}, "
        "as far as can be measured."
    )


def out(view: StudyView) -> str:
    """Name the finalists with wrong outputs in the finals; the baseline was checked before."""
    held = view.finals
    wrong = [one for one in held.finalists if one.wrong and one.trial] if held is not None else []
    told = "; ".join(f"{name_of(one)} ({one.wrong})" for one in wrong)
    return f"Excluded from the finals: {told}." if told else ""


def rebuilds(view: StudyView) -> str:
    """Say whether rebuilds of the winner differ, so that its speed is partly luck."""
    held = view.finals
    found = [one for one in view.rebuilt if held is not None and one.trial == held.winner.trial]
    return rebuilt_sentence(found[0], view.study.spec.objectives[0]) if found else ""


def rebuilt_sentence(found: Rebuilt, objective: Objective) -> str:
    """Say how much rebuilds of a trial differ."""
    ascending = sorted(found.ratios, key=lambda ratio: ratio.value)
    ends = dict.fromkeys(formats.factor(ratio) for ratio in (ascending[0], ascending[-1]))
    times = formats.plural(len(found.ratios), "time")
    beginning = f"Built anew {times}, trial {found.trial} was {' to '.join(ends)} as {quality(objective)}"
    builds, sessions = formats.share(found.between_builds), formats.share(found.between_sessions)
    spreads = f"spread between builds {builds}, between sessions {sessions}"
    return f"{beginning}: {_builds(found, objective)} ({spreads})."


def deadline(view: StudyView) -> str:
    """Return whether the trial to deploy is certified to meet the deadline."""
    chosen = view.recommended
    return deadlines.deadline(view.study, chosen) if chosen is not None else ""


def detectable(view: StudyView) -> str:
    """Say how small a difference the self-test can detect."""
    found = view.noise
    if found is None:
        return ""
    difference = formats.share(found.detectable)
    runs = f"the baseline measured {found.runs} times"
    return f"This machine can tell engines apart that differ by {difference} ({runs})."


def drifted(view: StudyView) -> str:
    """Return how the baseline changed while the study ran."""
    found = view.drift
    if found is None:
        return ""
    change, time = formats.change(found.change), formats.duration(3600 * found.hours)
    objective = view.study.spec.objectives[0]
    if not found.significant:
        return f"No significant drift: over {time} the baseline changed by {change}."
    better = (found.change.value < 1) == (objective.direction == "minimize")
    kind = "the machine became" if _is_of_time(objective) else f"the baseline's {objective.metric} became"
    word = comparative(objective, better=better)
    return f"Drift: {kind} {word} by {change} over {time}; {_allowed_for(view)}."


def cut_short(view: StudyView) -> str:
    """Return how many trials racing ended early, and what that saved."""
    numbers, saved = stopped_early(view.study)
    if not numbers:
        return ""
    worse = comparative(view.study.spec.objectives[0], better=False)
    saving = f", which saved about {formats.duration(saved, 2)} of measuring" if saved else ""
    were = "were" if len(numbers) > 1 else "was"
    return f"{formats.plural(len(numbers), 'trial')} {were} stopped early as clearly {worse}{saving}."


def disturbed(view: StudyView) -> str:
    """Name the trials with disturbed blocks, and the reasons."""
    measured = [(trial.number, trial.measurement) for trial in view.study.trials if trial.measurement]
    reasons = {number: disturbances(measurement.blocks) for number, measurement in measured}
    spoiled = [number for number, why in reasons.items() if why]
    if not spoiled:
        return ""
    why = "; ".join(dict.fromkeys(reason for number in spoiled for reason in reasons[number]))
    return f"Some blocks of {formats.trials(spoiled)} were disturbed even when repeated ({why})."


def shared(view: StudyView) -> str:
    """Say that something else seems to have used the GPU."""
    measured = measured_in(view.study.trials, view.study.repeats)
    found = contention(view.study.spec.machine, [is_uneven(one.blocks) for _, one in measured])
    if found is None:
        return ""
    return (
        f"{found.message[0].upper()}{found.message[1:]}. When it has ended, search anew: --new --remeasure."
    )


def luck(view: StudyView) -> str:
    """Say that the best of many trials is partly luck, if there were no finals."""
    proven = view.comparison.verdict in ("faster", "slower", "unproven")
    if not proven or _were_held(view):
        return ""
    beginning = "The best of many trials is partly luck, for which the interval does not allow"
    if not finalists(view.study, MeasurementPlan().finalists):
        return f"{beginning}."
    return f"{beginning}: the same search with --finalists N measures the best N again, in turn."


def _builds(found: Rebuilt, objective: Objective) -> str:
    if found.is_luck:
        luck = "builds of the same settings differ, so luck has a part in it"
        than = f"{comparative(objective)} than the baseline"
        return f"{luck}, but every build is {than}" if found.all_win else luck
    return (
        "it is the settings, not the luck of a build"
        if found.all_win
        else "no build differs from it for certain"
    )


def _allowed_for(view: StudyView) -> str:
    if view.finals is not None:
        return "finalists were chosen by the baseline of their time, and then measured in turn"
    return "trials are compared by the baseline of their time" + (
        "" if _were_held(view) else "; finals are better (--finalists N)"
    )


def _were_held(view: StudyView) -> bool:
    """Return whether finals were held over all trials, with a winner or without."""
    return any(one.role == "final" and one.after == len(view.study.trials) for one in view.study.repeats)


def _ended_early(view: StudyView) -> bool:
    """Return whether the finals were stopped before a verdict was possible."""
    last = ("final", len(view.study.trials))
    sessions = {one.session for one in view.study.repeats if (one.role, one.after) == last}
    return len(sessions) < FEWEST_SESSIONS


def _is_rival(one: Finalist) -> bool:
    return one.trial != 0 and not one.build and not one.wrong


def _is_of_time(objective: Objective) -> bool:
    return formats.unit_of(objective.metric) in ("ms", "s", "samples/s")


# the median of fewer says too little of what the others would have taken
FEWEST_COMPLETE = 3


class StoppedEarly(NamedTuple):
    """The numbers of the trials, and about how many seconds of measuring were saved (None: not known)."""

    trials: tuple[int, ...]
    saved_seconds: float | None


def stopped_early(study: StudyRecord) -> StoppedEarly:
    """Return the trials stopped early; each saved the rest of the median span of complete trials."""
    spans = {
        trial.number: _span(trial.measurement)
        for trial in study.trials
        if trial.measurement is not None and not trial.reused and trial.same_as is None
    }
    pruned = tuple(trial.number for trial in study.trials if is_pruned(trial))
    complete = [span for number, span in spans.items() if number not in pruned]
    if len(complete) < FEWEST_COMPLETE or not pruned:
        return StoppedEarly(pruned, None)
    usual = float(np.median(complete))
    return StoppedEarly(pruned, sum(max(0.0, usual - spans.get(number, usual)) for number in pruned))


def _span(measurement: Measurement) -> float:
    blocks = (*measurement.blocks, *measurement.cold, *measurement.discarded)
    return sum(block.span_seconds for block in blocks)
