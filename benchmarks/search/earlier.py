"""Studies to begin with: each landscape is searched as if others had been before."""

import zlib
from collections.abc import Sequence

import numpy as np

from benchmarks.search.world import State, World
from engines.core.values import NOTHING
from studies.core.metrics import accuracy_metrics
from studies.core.records import StudySpec
from studies.search.observations import Earlier, Observation
from studies.search.transfer.adapt import taken_over
from studies.search.transfer.find import LEAST_SIMILARITY, MOST_STUDIES, relevance

# of each earlier study: its baseline, and others at random
TRIALS = 50


def earlier_of(world: World, others: Sequence[World], *, of_the_same_model: bool) -> tuple[Earlier, ...]:
    """What random searches of the most similar landscapes showed: of other models, or of this one at other
    shapes.
    """
    spec = _spec(world)
    if spec is None:
        return ()
    found = []
    for other in others:
        theirs = _spec(other)
        if theirs is None or other is world or of_the_same_model != (_model(theirs) == _model(spec)):
            continue
        alike = relevance(spec, theirs)
        observations = _taken(world, other) if alike >= LEAST_SIMILARITY else ()
        if observations:
            found.append(Earlier(other.name, alike, observations))
    return tuple(sorted(found, key=lambda one: -one.similarity)[:MOST_STUDIES])


def _spec(world: World) -> StudySpec | None:
    """The landscape as a study; None where it is made up."""
    if world.workload is None or world.machine is None:
        return None
    asked = world.objectives, world.constraints
    baseline = world.places[0].candidate
    return StudySpec(world.workload, world.backend, NOTHING, world.machine, *asked, world.space, baseline)


def _model(spec: StudySpec) -> str:
    return spec.workload.model.digest


def _taken(world: World, other: World) -> tuple[Observation, ...]:
    """A study of the other landscape, as this one's search would have it."""
    random = np.random.default_rng(zlib.crc32(f"{other.name} for {world.name}".encode()))
    state = State()
    places = [0, *(index for index in random.permutation(other.inside).tolist() if index != 0)]
    return taken_over(
        [other.try_(index, random, state) for index in places[:TRIALS]],
        world.space,
        world.places[0].candidate,
        [one.direction for one in world.objectives],
        [one.metric in accuracy_metrics() for one in world.constraints],
    )
