import math

import pytest

from dashboards.words.finalists import COLUMNS, rows, session_ratios
from dashboards.words.formats import TIMES
from studies.core.records import StudyRecord
from studies.finals import rebuilds
from studies.finals.rebuilds import rebuilt
from studies.finals.verdict import finals
from tests.records import study_record
from tests.repeats import close_study


def told(study: StudyRecord) -> dict[str, tuple[str, ...]]:
    held = finals(study)
    assert held is not None
    return {row.name: row[1:] for _, row in rows(study, held)}


def test_every_finalist_has_a_row_with_ratios_and_verdicts_in_words() -> None:
    found = told(close_study(factors=(1.0, 1.0, 1.03)))
    assert len(COLUMNS) == 1 + len(found["baseline"])
    winner = min(("trial 1", "trial 2", "trial 3"), key=lambda name: found[name][0])
    assert found[winner][1] == "the winner"
    assert found[winner][2].startswith(("faster: 2.0", "faster: 1.9"))
    assert found["baseline"][1].startswith("slower: 0.")
    assert found["baseline"][2] == "the baseline"
    assert {values[1].split(":")[0] for values in found.values()} == {"the winner", "same", "slower"}
    assert all(values[3] == "" for values in found.values())
    assert found["baseline"][1].count(TIMES) == 3


def test_rebuilds_are_named_after_their_trial() -> None:
    names = set(told(close_study(rebuilds=2)))
    assert {"trial 1", "trial 1, rebuild 1", "trial 1, rebuild 2", "baseline"} <= names


def test_ratios_of_more_than_one_are_better_where_more_is_better_too() -> None:
    found = told(close_study(objectives=["throughput"]))
    assert found["baseline"][1].startswith("slower: 0.")
    assert found["trial 1"][2].startswith("faster: ")


def test_sessions_are_compared_with_each_other_and_oriented() -> None:
    study = close_study()
    held = finals(study)
    assert held is not None
    ratios = session_ratios(study, held, (0, 0))
    assert set(ratios) == {(1, 0), (2, 0), (3, 0)}
    for one in held.finalists:
        if one.against_baseline is not None:
            logs = [math.log(ratio) for ratio in ratios[one.trial, one.build]]
            assert len(logs) == held.sessions
            assert math.exp(sum(logs) / len(logs)) == pytest.approx(one.against_baseline.value)


def test_equal_rebuilds_are_not_luck() -> None:
    found = rebuilt(close_study(rebuilds=3))
    held = finals(close_study(rebuilds=3))
    assert held is not None
    assert found[0].trial == held.winner.trial
    assert {len(one.ratios) for one in found} == {3}
    assert not found[0].is_luck
    assert found[0].between_builds < 0.003
    assert found[0].between_sessions < 0.02


def test_rebuilds_that_differ_are_luck_and_by_how_much_is_known() -> None:
    found = rebuilt(close_study(rebuilds=2, luck=1.1))[0]
    assert found.is_luck
    assert [ratio.value for ratio in found.ratios] == pytest.approx([1 / 1.1] * 2, rel=0.02)
    # of the logarithms 0, 0.095 and 0.095
    assert found.between_builds == pytest.approx(math.log(1.1) / math.sqrt(3), rel=0.1)


def test_spreads_are_those_of_a_table_worked_by_hand() -> None:
    """Sessions differ by 0.1, builds by 0.02, and nothing else."""
    builds = [{n: math.exp(0.1 * n + 0.02 * build) for n in range(3)} for build in range(3)]
    between, within = rebuilds._spreads(builds)
    assert between == pytest.approx(0.02)
    assert within == pytest.approx(0.0, abs=1e-9)


def test_without_finals_or_rebuilds_there_is_nothing_to_say() -> None:
    assert rebuilt(study_record(5)) == ()
    assert rebuilt(close_study()) == ()
