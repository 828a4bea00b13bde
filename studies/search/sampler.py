"""An Optuna sampler with this search, for studies that are run with Optuna alone.

    study = optuna.create_study(sampler=EngineSampler(space, constraints=1, metrics=["latency_ms"]))
    study.optimize(objective, n_trials=50)

A trial may tell what it took with the user attribute `seconds`, by stage (see `engines.core.values.Stage`),
and its constraints with `trial.set_constraint`. A search by `tuner` uses `studies.search.searcher` without a
detour.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from engines.core.values import Candidate
from studies.core import space as spaces
from studies.core.records import Direction
from studies.core.space import Space
from studies.search.observations import USUAL_VARIANCE, Observation
from studies.search.searcher import Searcher

SECONDS = "seconds"
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


class EngineSampler(BaseSampler):
    """Suggest the candidate with the largest expected improvement for its cost; never the same one twice.

    `space` are the dimensions, `constraints` is the number of constraints that each trial has. `metrics`
    names the objectives, as in `studies.core.metrics`: for speeds it begins with what vendors advise, and
    tries graphs that keep more nodes in FP32 last.
    """

    def __init__(
        self, space: Space, constraints: int = 0, seed: int = 0, metrics: Sequence[str] = ()
    ) -> None:
        self._space, self._constraints, self._seed = tuple(space), constraints, seed
        self._metrics = tuple(metrics)
        self._others = RandomSampler(seed)
        self._searcher: Searcher | None = None
        self._told: set[int] = set()

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return spaces.distributions(self._space)

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        searcher, pending = self._informed(study)
        if searcher.is_exhausted:
            # Optuna cannot be told that the space is exhausted, so a seen candidate is suggested again
            return {}
        return searcher.suggest(pending)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self._others.sample_independent(study, trial, param_name, param_distribution)

    def reseed_rng(self) -> None:
        self._others.reseed_rng()

    def _informed(self, study: Study) -> tuple[Searcher, list[Candidate]]:
        """Return a searcher that knows all trials of the study, and the candidates that are running."""
        if self._searcher is None:
            directions: list[Direction] = [
                "minimize" if one.name == "MINIMIZE" else "maximize" for one in study.directions
            ]
            self._searcher = Searcher(
                self._space, directions, self._constraints, self._seed, metrics=self._metrics
            )
        pending = []
        for trial in study.get_trials(deepcopy=False):
            if trial.number in self._told or not trial.params:
                continue
            if trial.state in FINISHED:
                self._told.add(trial.number)
                self._searcher.add(observation(trial, self._space))
            else:
                candidate = spaces.candidate_at(self._space, trial.params)
                self._searcher.mark_seen(candidate.settings)
                if trial.state == TrialState.RUNNING:
                    pending.append(candidate)
        return self._searcher, pending


def observation(trial: FrozenTrial, space: Space) -> Observation:
    """Convert a finished Optuna trial to an observation."""
    is_complete = trial.state == TrialState.COMPLETE
    return Observation(
        candidate=spaces.candidate_at(space, trial.params),
        values=tuple(trial.values) if is_complete else None,
        variances=(USUAL_VARIANCE,) * len(trial.values) if is_complete else (),
        margins=tuple(trial.constraints.values()) if is_complete else (),
        failed=None if is_complete else "measure",
        seconds=_seconds(trial),
    )


def _seconds(trial: FrozenTrial) -> Mapping[str, float]:
    reported = trial.user_attrs.get(SECONDS)
    if isinstance(reported, Mapping):
        return reported
    return {"measure": trial.duration.total_seconds()} if trial.duration else {}
