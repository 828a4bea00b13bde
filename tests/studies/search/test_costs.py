import numpy as np
import pytest

from engines.core.values import Candidate, Dimension, Settings
from studies.search.costs import Costs
from studies.search.encoding import Encoding
from studies.search.observations import Observation

SPACE = (
    Dimension("precision", "graph", ("fp32", "fp16", "int8"), "fp32", ""),
    Dimension("level", "build", (0, 1, 2, 3, 4, 5), 3, ""),
    Dimension("cuda_graph", "run", (False, True), False, ""),
)
ENCODING = Encoding(SPACE)
NOBODY = Candidate(graph=Settings(precision="fp32"))


def _told(costs: Costs, row: tuple[int, ...], **seconds: float) -> None:
    costs.add(row, Observation(NOBODY, (1.0,), seconds=seconds))


def test_another_run_of_an_engine_costs_neither_graph_nor_build() -> None:
    costs = Costs(ENCODING)
    _told(costs, (3, 1, 1), graph=20.0, build=60.0, load=0.5, measure=1.0)
    sibling, other_engine, other_graph = costs.predict(np.array([(3, 1, 2), (3, 2, 1), (2, 1, 1)])).tolist()
    assert sibling == pytest.approx(1.5)
    assert other_engine > 30
    assert other_graph > other_engine


def test_costs_learn_which_choices_make_builds_slow() -> None:
    costs = Costs(ENCODING)
    for precision in (1, 2, 3):
        for level in (1, 3, 5):
            _told(costs, (precision, level, 1), build=2.0**level, measure=1.0)
    quick, slow = costs.predict(np.array([(1, 2, 1), (1, 6, 1)])).tolist()
    assert quick < 12
    assert slow > 15


def test_reused_results_count_as_made_but_add_no_seconds() -> None:
    costs = Costs(ENCODING)
    _told(costs, (1, 1, 1), build=30.0, measure=1.0)
    _told(costs, (1, 2, 1), measure=1.0)
    assert costs.predict(np.array([(1, 2, 2)]))[0] == pytest.approx(1.0)
    assert costs.predict(np.array([(1, 3, 2)]))[0] > 15


def test_an_engine_that_failed_is_not_made() -> None:
    costs = Costs(ENCODING)
    costs.add((1, 1, 1), Observation(NOBODY, None, failed="build", seconds={"graph": 1.0, "build": 40.0}))
    _told(costs, (2, 1, 1), measure=1.0)
    assert costs.predict(np.array([(1, 1, 2)]))[0] > 10


def test_all_candidates_cost_the_same_before_any_trial() -> None:
    assert len(set(Costs(ENCODING).predict(ENCODING.every()).tolist())) == 1


def test_an_engine_whose_graph_failed_is_not_made() -> None:
    costs = Costs(ENCODING)
    _told(costs, (2, 1, 1), graph=1.0, build=40.0, measure=1.0)
    costs.add((1, 1, 1), Observation(NOBODY, None, failed="graph", seconds={"graph": 1.0}))
    assert costs.predict(np.array([(1, 1, 2)]))[0] > 20


def test_every_candidate_costs_more_than_zero() -> None:
    costs = Costs(ENCODING)
    _told(costs, (1, 1, 1), build=0.0, measure=0.0)
    assert costs.predict(ENCODING.every()).min() > 0


def test_an_engine_that_compiles_when_it_is_first_loaded_is_dearer_than_its_sibling() -> None:
    costs = Costs(ENCODING)
    _told(costs, (1, 1, 1), build=0.5, load=8.0, measure=1.0)
    _told(costs, (1, 2, 1), build=0.5, load=6.0, measure=1.0)
    _told(costs, (1, 2, 2), load=0.5, measure=1.0)
    sibling, other = costs.predict(np.array([(1, 1, 2), (1, 3, 1)])).tolist()
    assert sibling == pytest.approx(1.5)
    assert other > 8.0
