"""How engines were measured, what was measured again, and what that showed."""

from collections.abc import Sequence
from typing import Annotated

from dashboards.words import telemetry
from dashboards.words.evidence import stopped_early
from engines.core import results
from engines.statistics import estimates
from engines.statistics.estimates import coefficient_of_variation, sample_count
from engines.statistics.jitter import jitter
from studies.analysis.view import StudyView
from studies.belief.certificates import certificate
from studies.core.metrics import value_of
from studies.core.records import RepeatRecord, StudyRecord, TrialRecord
from studies.finals import verdict
from studies.finals.verdict import verdict_of
from tuner.documents.base import Document, Estimate, Time, about, estimate_of, finite, made


class State(Document):
    mean: Annotated[float, about("over the blocks, in the unit that the name ends with")]
    low: Annotated[float, about("in the block where it was lowest")]
    high: Annotated[float, about("in the block where it was highest")]


class Measurement(Document):
    """How an engine was measured, without the raw samples."""

    samples: Annotated[int, about("timed inferences")]
    counted_samples: Annotated[
        int,
        about(
            "those that the metrics are made of: of blocks that were not disturbed, while there are enough"
        ),
    ]
    variation: Annotated[float | None, about("standard deviation of their times divided by the mean")]
    jitter: Annotated[
        float | None,
        about(
            "the 90th percentile of the times divided by the 10th, each time divided by the median of five "
            "in a row of its block; null for fewer than 25 in whole rows"
        ),
    ]
    blocks: Annotated[int, about("timed blocks that they were taken in")]
    batch: Annotated[int, about("samples in one inference")]
    streams: Annotated[int, about("inferences at a time")]
    warmup_seconds: Annotated[float, about("time of warming up")]
    warmup_runs: Annotated[int, about("inferences in it")]
    converged: Annotated[bool, about("whether the interval became narrow enough before the time was up")]
    behind: Annotated[
        bool,
        about("whether measuring was stopped early, as the trial was clearly worse than the best by then"),
    ]
    cold_samples: Annotated[int, about("inferences timed with caches flushed")]
    disturbed_blocks: Annotated[int, about("blocks that were disturbed even when repeated")]
    discarded_blocks: Annotated[int, about("blocks that were disturbed and repeated")]
    disturbances: Annotated[list[str], about("why blocks were disturbed")]
    telemetry: Annotated[
        dict[str, State],
        about("states of the machine, such as `clock_mhz`, `power_w` or `temperature_c`"),
    ]
    throttled: Annotated[
        dict[str, float], about("share of the blocks in which clocks were held down for this reason")
    ]
    waited: Annotated[
        float | None,
        about("seconds that threads waited for a core, divided by the seconds measured; null if not known"),
    ]


class Certificate(Document):
    deadline_ms: Annotated[float, about("the deadline")]
    percentile: Annotated[float, about("share of inferences that are to meet it, in per cent")]
    confidence: Annotated[float, about("with which that is to be shown")]
    samples: Annotated[
        int,
        about(
            "inferences of all measurements of the trial's engine, those of the finals and of disturbed "
            "blocks too"
        ),
    ]
    misses: Annotated[int, about("those beyond the deadline")]
    miss_rate_high: Annotated[float, about("the highest share of misses that is compatible with them")]
    holds: Annotated[bool, about("whether it is shown that the deadline is met")]
    design_effect: Annotated[float, about("how many samples are worth one that is independent")]


class Noise(Document):
    spread: Annotated[
        float | None,
        about("standard deviation of the logarithm of the first objective from run to run of the baseline"),
    ]
    between: Annotated[float | None, about("the part of it that a single run cannot see in its own blocks")]
    runs: Annotated[int, about("how often the baseline was run for it")]
    detectable: Annotated[
        float | None,
        about(
            "the smallest relative difference between two engines, measured once each, that is found in "
            "19 of 20 cases"
        ),
    ]


class Drift(Document):
    change: Annotated[
        Estimate,
        about("the baseline at its last run divided by that at its first, along a fitted line"),
    ]
    seconds: Annotated[float, about("the time between these runs")]
    significant: Annotated[bool, about("whether the interval excludes 1")]


class Racing(Document):
    stopped_early: Annotated[
        list[int],
        about("trials whose measuring was stopped early, as they were clearly worse than the best by then"),
    ]
    saved_seconds: Annotated[
        float | None,
        about("about how much measuring that saved, against the median trial; null if it is not known"),
    ]


class Ratio(Estimate):
    verdict: Annotated[str, about("`faster`, `slower` or `same`")]


class Finalist(Document):
    trial: Annotated[int, about("its number; 0 is the baseline")]
    build: Annotated[int, about("0 for the trial's own engine, from 1 on for its cold rebuilds")]
    value: Annotated[Estimate, about("the first objective over all sessions")]
    against_winner: Annotated[
        Ratio | None,
        about(
            "how many times better than the winner it is, with an interval of 95 % for all comparisons at "
            "once; null for the winner"
        ),
    ]
    against_baseline: Annotated[
        Ratio | None,
        about("how many times better than the baseline it is, likewise; null for the baseline"),
    ]
    wrong: Annotated[str, about("why it is out of the race; empty when it is not")]


class Rebuilt(Document):
    trial: Annotated[int, about("its number")]
    ratios: Annotated[
        list[Estimate],
        about(
            "how many times better than its own engine each rebuild is, with intervals of 95 % for all its "
            "rebuilds at once"
        ),
    ]
    between_builds: Annotated[
        float, about("standard deviation of the logarithm between its builds, beyond what sessions explain")
    ]
    between_sessions: Annotated[float, about("standard deviation of the logarithm from session to session")]
    luck: Annotated[bool, about("whether a rebuild differs significantly, so that luck has a part in it")]
    all_win: Annotated[bool, about("whether every build of it is significantly better than the baseline")]


class Finals(Document):
    winner: Annotated[int, about("the trial that won")]
    sessions: Annotated[
        int, about("sessions, in each of which every finalist is loaded anew and timed in turn")
    ]
    after: Annotated[int, about("trials that the study had")]
    finalists: Annotated[list[Finalist], about("the best value first")]
    rebuilt: Annotated[list[Rebuilt], about("trials that were built anew, the winner first")]


class Repeat(Document):
    trial: Annotated[int, about("what was measured again")]
    role: Annotated[
        str,
        about(
            "`self-test` (the baseline at the beginning), `anchor` (the baseline between trials), `final`, "
            "or `again` (one of the best of a recorded space)"
        ),
    ]
    after: Annotated[int, about("trials that the study had by then")]
    session: Annotated[int, about("session of the finals, from 0 on")]
    build: Annotated[int, about("0, or the number of the cold rebuild")]
    value: Annotated[Estimate | None, about("the first objective; null for what failed")]
    failure: Annotated[str | None, about("why it failed")]
    started_at: Annotated[Time, about("when it began")]


def noise_of(view: StudyView) -> Noise | None:
    """Return what repeating the baseline showed; None without a self-test."""
    found = view.noise
    if found is None:
        return None
    spread, between, detectable = map(finite, (found.spread, found.between, found.detectable))
    return Noise(spread=spread, between=between, runs=found.runs, detectable=detectable)


def drift_of(view: StudyView) -> Drift | None:
    """Return how the baseline drifted; None where it was not run again between trials."""
    found = view.drift
    if found is None:
        return None
    seconds = round(3600 * found.hours, 6)
    return Drift(change=estimate_of(found.change), seconds=seconds, significant=found.significant)


def racing_of(view: StudyView) -> Racing:
    """Return the trials that were stopped early, and what that saved."""
    numbers, saved = stopped_early(view.study)
    return Racing(stopped_early=list(numbers), saved_seconds=saved)


def finals_of(view: StudyView) -> Finals | None:
    """Return the finals; None where the finalists were not measured again over all trials."""
    held = view.finals
    if held is None:
        return None
    rebuilt = [
        Rebuilt(
            trial=one.trial,
            ratios=[estimate_of(ratio) for ratio in one.ratios],
            between_builds=one.between_builds,
            between_sessions=one.between_sessions,
            luck=one.is_luck,
            all_win=one.all_win,
        )
        for one in view.rebuilt
    ]
    return Finals(
        winner=held.winner.trial,
        sessions=held.sessions,
        after=held.after,
        finalists=[_finalist(one) for one in held.finalists],
        rebuilt=rebuilt,
    )


def repeat_of(repeat: RepeatRecord, study: StudyRecord) -> Repeat:
    """Return one more measurement of a trial."""
    value = value_of(repeat.evaluation, study.spec.objectives[0].metric)
    failure = repeat.evaluation.failure
    return Repeat(
        trial=repeat.trial,
        role=repeat.role,
        after=repeat.after,
        session=repeat.session,
        build=repeat.build,
        value=estimate_of(value) if value else None,
        failure=failure.message if failure else None,
        started_at=repeat.started_at.isoformat(),
    )


def certificate_of(study: StudyRecord, trial: TrialRecord) -> Certificate | None:
    """Return what is known of the deadline; None without one, or without a measurement."""
    found = certificate(study, trial)
    return made(Certificate, found) if found is not None else None


def measurement_of(measurement: results.Measurement) -> Measurement:
    """Return how the engine was measured, and what the machine said meanwhile."""
    blocks = measurement.blocks
    states = telemetry.states(blocks)
    return Measurement(
        samples=_count(blocks),
        counted_samples=sample_count(measurement),
        variation=finite(coefficient_of_variation(measurement)),
        jitter=finite(jitter(blocks)),
        blocks=len(blocks),
        batch=measurement.batch,
        streams=measurement.streams,
        warmup_seconds=round(measurement.warmup_seconds, 6),
        warmup_runs=measurement.warmup_runs,
        converged=measurement.converged,
        behind=measurement.pruned,
        cold_samples=_count(measurement.cold),
        disturbed_blocks=sum(bool(block.disturbed) for block in blocks),
        discarded_blocks=len(measurement.discarded),
        disturbances=list(telemetry.disturbances((*blocks, *measurement.discarded))),
        telemetry={name: State(**found._asdict()) for name, found in states.items()},
        throttled=telemetry.throttled(blocks),
        waited=telemetry.waited(blocks),
    )


def _finalist(one: verdict.Finalist) -> Finalist:
    return Finalist(
        trial=one.trial,
        build=one.build,
        value=estimate_of(one.value),
        against_winner=_against(one.against_winner),
        against_baseline=_against(one.against_baseline),
        wrong=one.wrong,
    )


def _against(ratio: estimates.Estimate | None) -> Ratio | None:
    if ratio is None:
        return None
    low, high = finite(ratio.low), finite(ratio.high)
    return Ratio(value=finite(ratio.value), low=low, high=high, verdict=verdict_of(ratio))


def _count(blocks: Sequence[results.Block]) -> int:
    return sum(len(block.latency_ms) for block in blocks)
