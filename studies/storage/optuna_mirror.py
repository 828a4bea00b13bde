"""The study as an ordinary Optuna study in the same database, for Optuna's own tools.

Our tables are the truth. A finished trial is added here afterwards in one step, so a killed search leaves at
worst a trial to be added again. Optuna numbers trials as they are added: one that finished out of turn has
our number as its user attribute `trial_number`.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import optuna
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy.exc import DBAPIError

from engines.core.errors import UserError
from studies.core import space as spaces
from studies.core.records import Constraint, StudySpec, TrialRecord
from studies.storage.storage import Storage

# beyond any limit that is missed by a factor, so that samplers keep away from what cannot be built
FAILED_VIOLATION = 1e6
# Optuna makes its tables without a lock: of two searches that begin in a new database at once, the slower one
# trips over what the other has just made, and finds it when it tries again
ATTEMPTS = 10
OUR_NUMBER = "trial_number"


@dataclass
class Mirror:
    """The Optuna study, and what is needed to add our records to it; `count` is how many it has."""

    study: optuna.Study
    spec: StudySpec
    storage: Storage
    count: int

    def add(self, record: TrialRecord) -> None:
        trial = as_trial(record, self.spec)
        if record.number != self.count:
            trial.set_user_attr(OUR_NUMBER, record.number)
        with self.storage.errors_translated(StorageInternalError):
            self.study.add_trial(trial)
        self.count += 1


@contextmanager
def open_mirror(
    storage: Storage, name: str, spec: StudySpec, records: Sequence[TrialRecord]
) -> Iterator[Mirror]:
    """Return the Optuna study of this name, created if it does not exist, with all our records.

    Raises UserError when it holds more than we know of.
    """
    tables = _open_tables(storage)
    try:
        with storage.errors_translated(StorageInternalError), unlogged():
            study = optuna.create_study(
                storage=tables,
                study_name=name,
                directions=[objective.direction for objective in spec.objectives],
                load_if_exists=True,
            )
            trials = study.get_trials(deepcopy=False)
        known = {number_of(trial) for trial in trials}
        unknown = known - {record.number for record in records}
        if unknown:
            raise _unknown_trials(name, storage.location, len(unknown))
        mirror = Mirror(study, spec, storage, len(trials))
        for record in records:
            if record.number not in known:
                mirror.add(record)
        yield mirror
    finally:
        tables.remove_session()
        tables.engine.dispose()


def number_of(trial: FrozenTrial) -> int:
    """Return our number of an Optuna trial."""
    return int(trial.user_attrs.get(OUR_NUMBER, trial.number))


def _open_tables(storage: Storage) -> RDBStorage:
    """Open Optuna's tables, created if they do not exist."""
    attempt = 1
    while True:
        try:
            with storage.errors_translated(StorageInternalError):
                return RDBStorage(storage.url, engine_kwargs=storage.engine_options())
        except DBAPIError:
            if attempt == ATTEMPTS:
                raise
            time.sleep(0.05 * attempt)
            attempt += 1


def as_trial(record: TrialRecord, spec: StudySpec) -> FrozenTrial:
    """Convert the record to an Optuna trial.

    A failure is pruned and far from feasible, so that samplers learn of it. Settings that are not searched
    are user attributes, and all are where the candidate lies outside the space, as only the baseline can:
    a sampler would take it for the point that has the rest of its settings.
    """
    settings = record.candidate.settings
    inside = spaces.distributions(spec.space) if spaces.contains(spec.space, settings) else {}
    values = [record.metrics[one.metric].value for one in spec.objectives if one.metric in record.metrics]
    failed = record.state == "failed" or len(values) < len(spec.objectives)
    violations = {"failed": FAILED_VIOLATION} if failed else relative_violations(record, spec.constraints)
    return create_trial(
        state=TrialState.PRUNED if failed else TrialState.COMPLETE,
        values=None if failed else values,
        params=spaces.point_of(spec.space, settings) if inside else {},
        distributions=inside,
        user_attrs={name: value for name, value in settings.items() if name not in inside},
        constraints=violations,
    )


@contextmanager
def unlogged() -> Iterator[None]:
    """Hide Optuna's log messages on what it creates and finds from the user's terminal."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def relative_violations(record: TrialRecord, constraints: Sequence[Constraint]) -> dict[str, float]:
    """Return by how much each constraint is missed, divided by its limit; zero or less if it is met."""
    found = {}
    for constraint in constraints:
        estimate = record.metrics.get(constraint.metric)
        scale = abs(constraint.limit) or 1.0
        violation = constraint.violation(estimate.value) / scale if estimate else FAILED_VIOLATION
        found[str(constraint)] = min(violation, FAILED_VIOLATION)
    return found


def _unknown_trials(name: str, location: str, count: int) -> UserError:
    trials = "trial" if count == 1 else "trials"
    return UserError(
        f"the Optuna study {name!r} in {location} has {count} {trials} that this study does not know of",
        "Let only one search go on with a study; else choose another name with --study NAME.",
    )
