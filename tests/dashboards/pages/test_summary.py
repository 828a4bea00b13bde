import re
from dataclasses import replace

import numpy as np

from dashboards.pages import summary as cards
from dashboards.words import evidence
from engines.core.results import Evaluation
from studies.analysis.view import StudyView
from studies.core.records import StudyRecord
from tests.records import FAILURES, candidate, failed, measured, study_of, study_record
from tests.repeats import close_study

BASE = candidate("fp32", "all", 2, True)
OTHER = candidate("int8", "all", 2, False)


def made(latency_ms: float, error: float = 0.0) -> Evaluation:
    which = BASE if latency_ms == 3.0 else OTHER
    return measured(which, np.random.default_rng(0), latency_ms=latency_ms, error=error)


def summary(study: StudyRecord) -> str:
    """All cards of the summary, one after the other."""
    made = (cards.verdict_card, cards.settings_card, cards.front_card, cards.finals_card, cards.failures_card)
    return "".join(card(StudyView(study)) or "" for card in made)


def changed(html: str) -> list[str]:
    return re.findall(r'<tr class="changed"><th[^>]*>([^<]+)</th>', html)


def test_only_settings_that_differ_from_the_baseline_are_marked() -> None:
    assert changed(summary(study_of(made(3.0), made(2.0)))) == ["precision", "spinning"]


def test_the_baseline_alone_is_shown_where_it_is_the_best() -> None:
    html = summary(study_of(made(3.0), made(4.0)))
    assert "<h2>The baseline</h2>" in html
    assert changed(html) == []


def test_trials_are_counted_by_state() -> None:
    html = summary(study_of(made(3.0), made(2.0), made(1.0, error=0.5), failed(OTHER, *FAILURES[0])))
    counts = dict(re.findall(r"<dt>(\w+)</dt><dd>([\d,]+)</dd>", html))
    assert [counts[state] for state in ("trials", "feasible", "infeasible", "failed")] == ["4", "2", "1", "1"]


def test_each_failure_has_its_stage_kind_message_hint_and_log() -> None:
    html = summary(study_of(made(3.0), *(failed(OTHER, *failure) for failure in FAILURES)))
    for number, (stage, kind, message, hint) in enumerate(FAILURES, 1):
        line = html[html.index(f'<a href="#trial-{number}">') :].split("</li>")[0]
        assert f"{stage}: {kind.replace('_', ' ')}" in line
        assert message.split("<", maxsplit=1)[0].split("'")[0] in line
        assert hint.split("'")[0] in line
        assert "<pre>loading\nsession &lt;created&gt;" in line


def test_only_the_end_of_a_long_log_is_shown() -> None:
    study = study_of(made(3.0), failed(OTHER, *FAILURES[0]))
    noisy = replace(study.trials[1], log="\n".join(f"line {number}" for number in range(100)))
    html = summary(replace(study, trials=(study.trials[0], noisy)))
    assert "line 99" in html
    assert "line 87" not in html


def test_each_infeasible_trial_says_which_constraint_it_misses() -> None:
    html = summary(study_of(made(3.0), made(1.0, error=0.5)))
    assert '<a href="#trial-1">Trial 1</a> misses error&lt;=0.01 (is 0.5000)' in html


def test_long_lists_of_failures_are_folded() -> None:
    few = summary(study_of(made(3.0), *[failed(OTHER, *FAILURES[0])] * 3))
    many = summary(study_of(made(3.0), *[failed(OTHER, *FAILURES[0])] * 30))
    assert '<details class="listed failed" open>' in few
    assert '<details class="listed failed">' in many


def test_the_finalists_are_a_table_with_links_to_their_trials() -> None:
    html = summary(close_study(rebuilds=1))
    section = html[html.index("<h2>Finalists, measured again in turn</h2>") :].split("</section>")[0]
    assert section.count('<tr class="changed">') == 1
    assert section.count("<tr") == 1 + 1 + 2 * 3
    for number in (1, 2, 3):
        assert f'<a href="#trial-{number}">Trial {number}, rebuild 1</a>' in section
    assert "out of the race" not in section
    assert section.count("<p>Built anew 1") == 2
    assert "Finalists" not in summary(study_record(10))


def test_evidence_is_listed_below_the_verdict() -> None:
    html = summary(close_study())
    listed = re.findall("<li>(.*?)</li>", html.split("</section>")[0])
    assert [line.replace("\N{NO-BREAK SPACE}", " ") for line in listed] == list(
        evidence.sentences(StudyView(close_study()))
    )
    assert listed


def test_several_objectives_list_their_front() -> None:
    html = summary(study_record(40, objectives=["latency_ms", "engine_bytes"]))
    assert re.search(r"<h2>Pareto front: \d+ trials</h2>", html)
    assert "Pareto" not in summary(study_record(10))


def test_a_failed_baseline_has_dashes_for_numbers() -> None:
    html = summary(study_of(failed(BASE, *FAILURES[0]), made(2.0)))
    row = html[html.index(">latency_ms</th>") :].split("</tr>")[0]
    assert re.findall(r"<td>([^<]+)</td>", row)[0] == "\N{EN DASH}"


def test_a_study_without_trials_has_a_summary() -> None:
    assert "No trial has finished yet." in summary(study_record(0))
