"""Which trials share a measurement, since their engines are the same: one that is shared is no other one."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from engines.sharing import fingerprint, is_shared, measured_engine
from engines.values import Evaluation, Settings
from studies.records import TrialRecord


def measured(records: Iterable[TrialRecord], run: Settings) -> dict[str, Evaluation]:
    """The first measurement of each engine under a run spec, by the engine's fingerprint."""
    found: dict[str, Evaluation] = {}
    for record in records:
        known = fingerprint(record.engine)
        if known is not None and record.measurement is not None and record.candidate.run == run:
            found.setdefault(known, record.evaluation)
    return found


def same_as(evaluation: Evaluation, earlier: Iterable[TrialRecord]) -> int | None:
    """The earlier trial whose measurement this is; None for one of its own, or of another study's."""
    if not is_shared(evaluation):
        return None
    engine, run = measured_engine(evaluation), evaluation.candidate.run
    numbers = (
        record.number
        for record in earlier
        if record.measurement is not None
        and record.candidate.run == run
        and measured_engine(record.evaluation) == engine
    )
    return next(numbers, None)


def marked(records: Sequence[TrialRecord]) -> tuple[TrialRecord, ...]:
    """The trials, each with the trial whose measurement it shares."""
    return tuple(
        replace(record, same_as=same_as(record.evaluation, records[:place]))
        if is_shared(record.evaluation)
        else record
        for place, record in enumerate(records)
    )
