"""Index the runs of a landscape by graph settings, engine and candidate."""

from collections import defaultdict
from collections.abc import Sequence

from engines.core.errors import EngineError
from engines.core.results import Failure
from engines.core.values import Candidate, Settings, Stage
from engines.landscapes.file import Landscape, Made, Run

# a failure, and the seconds that it took to find it
Failed = tuple[Failure, float]


class Recorded:
    """The runs of a landscape, indexed."""

    def __init__(self, landscape: Landscape) -> None:
        self._landscape = landscape
        self._runs: dict[Candidate, list[Run]] = defaultdict(list)
        self._of_graph: dict[Settings, list[Run]] = defaultdict(list)
        self._of_engine: dict[tuple[Settings, Settings], list[Run]] = defaultdict(list)
        candidates = [landscape.candidate(index) for index in range(len(landscape.points))]
        for run in landscape.runs:
            candidate = candidates[run.candidate]
            self._runs[candidate].append(run)
            self._of_graph[candidate.graph].append(run)
            self._of_engine[candidate.graph, candidate.build].append(run)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Return the names of the outputs that were compared."""
        found = next((run.outputs for run in self._landscape.runs if run.outputs), ())
        return tuple(one.name for one in found)

    def runs(self, candidate: Candidate) -> Sequence[Run]:
        """Return the candidate's runs; none if it was not recorded."""
        return self._runs.get(candidate, [])

    def graph(self, settings: Settings) -> Made | None:
        """Return the graph of the settings; None if it failed or was not tried."""
        places = (run.graph for run in self._of_graph.get(settings, []) if run.graph >= 0)
        place = next(places, None)
        return None if place is None else self._landscape.graphs[place]

    def engine(self, candidate: Candidate) -> Made | None:
        """Return the engine of the candidate's graph and build settings; None if it failed or was not
        tried.
        """
        runs = self._of_engine.get((candidate.graph, candidate.build), [])
        place = next((run.engine for run in runs if run.engine >= 0), None)
        return None if place is None else self._landscape.engines[place]

    def graph_failure(self, settings: Settings) -> Failed | None:
        """Return why the graph failed; None if it was not tried."""
        return _failure(self._of_graph.get(settings, []), "graph")

    def engine_failure(self, candidate: Candidate) -> Failed | None:
        """Return why the engine failed; None if it was not tried."""
        return _failure(self._of_engine.get((candidate.graph, candidate.build), []), "build")


def error_of(failure: Failure) -> EngineError:
    """Return the failure as the vendor's library raised it."""
    return EngineError(failure.message, failure.hint, kind=failure.kind)


def _failure(runs: Sequence[Run], stage: Stage) -> Failed | None:
    """Return the failure that took longest: it was observed, not inferred from another one."""
    failed = [(run.failure, run.seconds.get(stage, 0.0)) for run in runs if run.failure is not None]
    return max(failed, key=lambda one: one[1], default=None)
