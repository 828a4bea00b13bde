"""What is said of a running search, a line each."""

from typing import TYPE_CHECKING

from dashboards.words import formats, verdict
from studies.analysis.standing import Progress
from tuner.terminal.tables import clock, one_line, plain

if TYPE_CHECKING:
    from engines.core.values import Candidate
    from studies.core.records import TrialRecord
    from studies.run.limits import Limits


def beginning(name: str, limits: "Limits", records: "tuple[TrialRecord, ...]") -> str:
    """Return a line on what the search is about to do."""
    left = limits.trials - len(records)
    if not records:
        return f"study {name}: up to {formats.plural(limits.trials, 'trial')}"
    if left <= 0:
        return f"study {name} has {formats.plural(len(records), 'trial')} already"
    last = len(records) - 1
    return f"going on with study {name} after trial {last}: up to {formats.plural(left, 'more trial')}"


def trial_line(record: "TrialRecord", standing: Progress) -> str:
    """Return the result of a trial in a line."""
    if record.failure is not None:
        line = (
            f"failed at {record.failure.stage} ({formats.shortened(one_line(record.failure.message), 300)})"
        )
    else:
        line = verdict.value_of(record, standing.objective)
        if record.violations:
            line += f", infeasible: misses {verdict.missed(record)}"
        if record.measurement is not None and record.measurement.pruned:
            line += ", stopped early: clearly worse than the best"
    if record.same_as is not None:
        line += f" (same engine as trial {record.same_as})"
    return f"{line} (known from an earlier study)" if record.reused else line


def standing_line(standing: Progress) -> str:
    """Return the best so far against the baseline."""
    if standing.best is None:
        return "nothing feasible yet" if standing.finished else "no trial has finished yet"
    value = formats.metric(standing.objective.metric, standing.best)
    if standing.best_number == 0:
        return f"best {value} (the baseline)"
    line = f"best {value} (trial {standing.best_number})"
    speedup = standing.speedup
    if speedup is None:
        return line
    better = verdict.comparative(standing.objective)
    return f"{line}, {formats.times(speedup)} {better} than the baseline so far"


def counts_line(standing: Progress) -> str:
    """Return trials so far, what failed, the time passed and left, and whether more is likely."""
    left = standing.seconds_left()
    parts = [
        f"{standing.finished} of {standing.trials} trials",
        f"{standing.failed} failed",
        f"{standing.infeasible} infeasible",
        f"{clock(standing.elapsed)} passed",
        f"about {clock(left)} left" if left is not None else "",
        _chance_of_more(standing),
    ]
    return ", ".join(part for part in parts if part)


def _chance_of_more(standing: Progress) -> str:
    """Return the probability of a gain of at least --min-gain; the search stops once it is low."""
    left, wanted = standing.left, standing.min_gain
    if left is None or wanted is None:
        return ""
    least = f"{100 * wanted:g} % more"
    if left.least > wanted:
        least = f"{formats.share(left.least)} more (the least that this machine can tell apart)"
    return f"{least}: {formats.percent(left.chance)} likely"


def settings_text(candidate: "Candidate") -> str:
    """Return the settings as NAME=VALUE."""
    return " ".join(f"{name}={formats.setting(value)}" for name, value in candidate.settings.items())


def log_lines(record: "TrialRecord", verbose: bool) -> list[str]:
    """Return what the vendor's library printed in this trial, where that is asked for."""
    return [line for line in plain(record.log).splitlines() if line.strip()] if verbose else []
