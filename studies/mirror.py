"""The study as an ordinary Optuna study in the same database, for the sampler and for Optuna's own tools.

Our tables are the truth. A finished trial is added here afterwards in one step, so a killed search leaves at
worst a trial to be added again; Optuna's numbers are ours.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.exceptions import StorageInternalError
from optuna.trial import FrozenTrial, TrialState, create_trial

from studies.records import Constraint, StudySpec, TrialRecord
from studies.sampler import DistinctSampler
from studies.storage import Storage

# beyond any limit that is missed by a factor, so that the sampler keeps away from what cannot be built
FAILED_VIOLATION = 1e6


@dataclass(frozen=True)
class Mirror:
    """The Optuna study, and what it takes to add our records to it."""

    study: optuna.Study
    spec: StudySpec
    distributions: dict[str, BaseDistribution]
    storage: Storage

    def add(self, record: TrialRecord) -> None:
        with self.storage.errors_translated(StorageInternalError):
            self.study.add_trial(as_trial(record, self.spec, self.distributions))


def open_mirror(
    storage: Storage, name: str, spec: StudySpec, sampler: DistinctSampler, records: Sequence[TrialRecord]
) -> Mirror:
    """The Optuna study of this name, created where it does not exist, with every record that we have."""
    optuna.logging.set_verbosity(logging.WARNING)
    with storage.errors_translated(StorageInternalError):
        study = optuna.create_study(
            storage=optuna.storages.RDBStorage(storage.url, engine_kwargs=storage.engine_options()),
            sampler=sampler,
            study_name=name,
            directions=[objective.direction for objective in spec.objectives],
            load_if_exists=True,
        )
        known = len(study.get_trials(deepcopy=False))
    mirror = Mirror(study, spec, sampler.distributions, storage)
    for record in records[known:]:
        mirror.add(record)
    return mirror


def as_trial(
    record: TrialRecord, spec: StudySpec, distributions: Mapping[str, BaseDistribution]
) -> FrozenTrial:
    """The record as Optuna keeps it.

    A failure is pruned and far from feasible, so that samplers learn of it; a setting outside the searched
    space, which only the baseline can have, is a user attribute.
    """
    settings = record.candidate.settings
    inside = {name: of for name, of in distributions.items() if _contains(of, settings.get(name))}
    values = [record.metrics[one.metric].value for one in spec.objectives if one.metric in record.metrics]
    failed = record.state == "failed" or len(values) < len(spec.objectives)
    violations = {"failed": FAILED_VIOLATION} if failed else relative_violations(record, spec.constraints)
    return create_trial(
        state=TrialState.PRUNED if failed else TrialState.COMPLETE,
        values=None if failed else values,
        params={name: settings[name] for name in inside},
        distributions=inside,
        user_attrs={name: value for name, value in settings.items() if name not in inside},
        constraints=violations,
    )


def relative_violations(record: TrialRecord, constraints: Sequence[Constraint]) -> dict[str, float]:
    """How far each constraint is missed, as a share of its limit; zero or less where it is kept."""
    found = {}
    for constraint in constraints:
        estimate = record.metrics.get(constraint.metric)
        scale = abs(constraint.limit) or 1.0
        violation = constraint.violation(estimate.value) / scale if estimate else FAILED_VIOLATION
        found[str(constraint)] = min(violation, FAILED_VIOLATION)
    return found


def _contains(distribution: BaseDistribution, value: Any) -> bool:
    return value is not None and value in distribution.choices  # type: ignore[attr-defined]
