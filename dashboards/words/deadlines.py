"""What a study shows of its deadline, in sentences, and the conditions under which that holds."""

from dashboards.words import formats
from dashboards.words.telemetry import range_text, states
from engines.core.results import Measurement
from engines.statistics.deadlines import Certificate
from studies.belief.certificates import certificate
from studies.core.records import StudyRecord, TrialRecord

# correlated samples are worth fewer; what is nearly all of them needs no word
WORTH_SAYING = 1.1


def deadline(study: StudyRecord, trial: TrialRecord) -> str:
    """Return whether the trial's engine is certified to meet the deadline, and the evidence or the reason.

    Empty without a deadline or a measurement.
    """
    found = certificate(study, trial)
    return f"{sentence(found)} {conditions(study, trial)}" if found is not None else ""


def sentence(found: Certificate) -> str:
    """Return the certificate in a sentence."""
    share, within = f"{found.percentile:g} %", f"{found.deadline_ms:g} ms"
    confidence = f"with {100 * found.confidence:g} % confidence"
    seen = f"{formats.plural(found.misses, 'miss', 'misses')} in {found.samples:,}"
    might = f"at most {formats.share(found.miss_rate_high)} miss"
    if found.holds:
        return f"{share} of inferences meet {within} {confidence}: {seen} ({might})."
    if found.misses / found.samples > 1 - found.percentile / 100:
        missed = formats.share(found.misses / found.samples)
        return f"{share} of inferences do not meet {within}: {seen} ({missed})."
    reason = "too many for so few samples" if found.misses else "too few samples to tell"
    beginning = f"That {share} of inferences meet {within} is not shown"
    return f"{beginning}: {seen}, {reason} {confidence} ({might}){_worth(found)}."


def conditions(study: StudyRecord, trial: TrialRecord) -> str:
    """Return the conditions of the certificate: machine, driver, machine state, streams and batch."""
    measurements = _measurements(study, trial)
    if not measurements:
        return ""
    machine, first = study.spec.machine, measurements[0]
    driver = [f"driver {machine.driver}"] if machine.driver else []
    blocks = [block for one in measurements for block in (*one.blocks, *one.discarded)]
    told = states(blocks)
    state = [range_text(name, told[name]) for name in ("clock_mhz", "temperature_c") if name in told]
    run = [formats.plural(first.streams, "stream"), f"batch {first.batch:,}"]
    times = formats.plural(len(measurements), "measurement")
    return f"Under these conditions: {', '.join([machine.processor, *driver, *state, *run])}; {times}."


def _worth(found: Certificate) -> str:
    if found.design_effect < WORTH_SAYING:
        return ""
    return f"; neighbouring ones are alike, so they count as {found.samples / found.design_effect:,.0f}"


def _measurements(study: StudyRecord, trial: TrialRecord) -> list[Measurement]:
    """Return the measurements that the certificate counts: the trial's, and its engine's in the finals."""
    finals = [one.measurement for one in study.repeats if (one.trial, one.build) == (trial.number, 0)]
    return [one for one in (trial.measurement, *finals) if one is not None]
