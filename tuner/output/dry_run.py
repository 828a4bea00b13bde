"""What a search would do and cost, before it begins."""

from dashboards.words import formats, verdict
from engines.core.values import Dimension, Policy, text_of
from engines.core.wire import to_plain
from engines.shapes.text import format_shapes
from studies.analysis.forecast import Forecast, Seconds, making_seconds, trial_seconds
from studies.core import space as spaces
from tuner.documents import commands
from tuner.documents.base import SCHEMA, Failure, estimate_of, made
from tuner.options.search import SearchOptions
from tuner.terminal.tables import add_row, clock, new_table, one_line, print_table
from tuner.workflows.plan import Plan, Prediction

LONGEST_REASON = 300


def plan_document(plan: Plan, options: SearchOptions, prediction: Prediction) -> commands.SearchPlan:
    """Return the plan as a document."""
    spec = plan.spec
    return commands.SearchPlan(
        schema=SCHEMA,
        backend=spec.backend,
        space=[
            commands.PlannedDimension(
                name=one.name,
                kind=one.kind,
                choices=list(one.choices),
                excluded=to_plain(one.excluded),
                about=one.about,
            )
            for one in spec.space
        ],
        candidates=spaces.size(spec.space),
        engines=spaces.engines_in(spec.space),
        baseline=dict(spec.baseline.settings),
        objectives=[objective.metric for objective in spec.objectives],
        constraints=[str(constraint) for constraint in spec.constraints],
        study=plan.study,
        trials=plan.trials,
        finished_trials=len(plan.records),
        min_gain=plan.limits.min_gain,
        measuring_seconds=list(measuring_seconds(plan, options)),
        measured_baseline=_baseline_document(prediction),
        prediction=_prediction_document(plan, options, prediction),
    )


def print_plan(plan: Plan, options: SearchOptions) -> None:
    """Print the plan for people."""
    spec, machine = plan.spec, plan.spec.machine
    shapes = format_shapes({name: of.optimum for name, of in spec.workload.plan.ranges.items()})
    print(f"model        {spec.workload.model.file.where} at {shapes}")
    print(f"machine      {machine.processor}, {formats.plural(machine.cores, 'core')}")
    libraries = ", ".join(f"{name} {version}" for name, version in machine.libraries.items())
    print(f"backend      {spec.backend} ({libraries})")
    print("objective    " + ", ".join(f"{one.direction} {one.metric}" for one in spec.objectives))
    print("constraints  " + ", ".join(str(one) for one in spec.constraints))
    table = new_table("dimension", "kind", "choices (* the baseline's)", "what it is")
    for one in spec.space:
        add_row(table, one.name, one.kind, _choices(one, spec.baseline.settings.get(one.name)), one.about)
    print()
    print_table(table)
    print()
    for line in [*_left_out(spec.space), *_cost(plan, options)]:
        print(line)


def prediction_lines(plan: Plan, options: SearchOptions, prediction: Prediction) -> list[str]:
    """Return what the baseline showed, and how long the search will take."""
    if prediction.stopped:
        return ["Interrupted: the time of the search is predicted from its baseline, which was not measured."]
    if prediction.baseline is None:
        return ["The time of the search cannot be predicted: its baseline cannot be run."]
    lines = [_baseline_line(plan, prediction)]
    ahead = within_limits(plan, options, prediction)
    if ahead is None:
        return [*lines, "What the search would take is known once a trial was measured."]
    if prediction.forecast is not None and not prediction.forecast.trials:
        return [*lines, f"The study {plan.study} has its {formats.plural(plan.trials, 'trial')} already."]
    return [*lines, *_predicted(plan, options, ahead)]


def within_limits(plan: Plan, options: SearchOptions, prediction: Prediction) -> Forecast | None:
    """Return the forecast, cut to --timeout where that is given."""
    ahead = prediction.forecast
    if ahead is None or options.budget.timeout is None or plan.limits.seconds is None:
        return ahead
    return ahead.within(plan.limits.seconds, options.budget.timeout, plan.measurement_plan)


def measuring_seconds(plan: Plan, options: SearchOptions) -> tuple[float, float]:
    """Return the minimum and maximum time of warm-up and measurement, without builds and checks."""
    policy = options.request.policy or Policy()
    least = policy.warmup_seconds + policy.minimum_seconds
    most = 5 * policy.warmup_seconds + policy.maximum_seconds
    return plan.trials * least, plan.trials * most


def _baseline_line(plan: Plan, prediction: Prediction) -> str:
    """Return a line on the baseline: its value, its time, and where it is stored."""
    record = prediction.baseline
    assert record is not None
    known = (
        " It was measured before."
        if prediction.known
        else f" It is kept as trial 0 of the study {plan.study}, with which the search goes on."
    )
    if record.failure is not None:
        message = formats.shortened(one_line(record.failure.message), LONGEST_REASON)
        return f"The baseline failed at {record.failure.stage}: {message}.{known}"
    objective = plan.spec.objectives[0]
    making, whole = making_seconds(record.evaluation), trial_seconds(record.evaluation)
    return (
        f"The baseline has {verdict.value_of(record, objective)}; making its engine took "
        f"{formats.duration(making)}, measuring it {formats.duration(whole - making)}.{known}"
    )


def _predicted(plan: Plan, options: SearchOptions, ahead: Forecast) -> list[str]:
    parts = [("builds", ahead.builds), ("measuring", ahead.measuring), ("finals", ahead.finals)]
    shares = ", ".join(f"{_clock(part.expected)} {name}" for name, part in parts if part.most > 0)
    more = formats.plural(ahead.trials, "more trial")
    lines = [f"Predicted for {more}: about {_range(ahead.total)}; of it {shares}."]
    if ahead.trials < plan.trials - max(1, len(plan.records)):
        timeout = formats.duration(options.budget.timeout)
        lines.append(f"--timeout ends it after {timeout}, before all of its {plan.trials} trials.")
    if len(plan.records) <= 1 and spaces.graphs_in(plan.spec.space) > 1:
        lines.append("What making other graphs takes, such as quantized ones, is known once one was made.")
    if plan.limits.min_gain is not None:
        gain = f"{100 * plan.limits.min_gain:g} %"
        lines.append(f"It stops sooner once going on is not likely to gain {gain} (--min-gain).")
    return lines


def _range(seconds: Seconds) -> str:
    return f"{_clock(seconds.expected)} ({_clock(seconds.least)} to {_clock(seconds.most)})"


def _clock(seconds: float) -> str:
    return clock(seconds) if seconds >= 1 else "under 1 s"


def _baseline_document(prediction: Prediction) -> commands.MeasuredBaseline | None:
    record = prediction.baseline
    if record is None:
        return None
    making = making_seconds(record.evaluation)
    return commands.MeasuredBaseline(
        known=prediction.known,
        state=record.state,
        metrics={name: estimate_of(estimate) for name, estimate in record.metrics.items()},
        failure=made(Failure, record.failure) if record.failure else None,
        making_seconds=making,
        measuring_seconds=trial_seconds(record.evaluation) - making,
    )


def _prediction_document(
    plan: Plan, options: SearchOptions, prediction: Prediction
) -> commands.Prediction | None:
    ahead = within_limits(plan, options, prediction)
    if ahead is None:
        return None
    return commands.Prediction(
        trials=ahead.trials,
        total_seconds=made(commands.Seconds, ahead.total),
        builds_seconds=made(commands.Seconds, ahead.builds),
        measuring_seconds=made(commands.Seconds, ahead.measuring),
        finals_seconds=made(commands.Seconds, ahead.finals),
    )


def _cost(plan: Plan, options: SearchOptions) -> list[str]:
    space, trials = plan.spec.space, plan.trials
    engines = spaces.engines_in(space)
    builds = min(engines + 1, trials)
    low, high = measuring_seconds(plan, options)
    return [
        f"{formats.plural(spaces.size(space), 'candidate')} of {formats.plural(engines, 'engine')}: "
        "what differs in run dimensions alone shares an engine.",
        f"{formats.plural(trials, 'trial')}: at most {formats.plural(builds, 'build')}, and "
        f"{formats.duration(low)} to {formats.duration(high)} of measuring.",
        *_again(plan),
    ]


def _again(plan: Plan) -> list[str]:
    """Return the measurements besides the trials."""
    measurement_plan, trials = plan.measurement_plan, plan.trials
    if trials <= 1:
        return []
    runs = measurement_plan.self_test_runs + (
        trials // measurement_plan.anchor_every if measurement_plan.anchor_every else 0
    )
    parts = [f"the baseline about {formats.plural(runs, 'time')} more"] if runs else []
    if measurement_plan.finalists:
        finalists = formats.plural(min(measurement_plan.finalists, trials - 1), "finalist")
        builds = (
            f", each with {formats.plural(measurement_plan.rebuilds, 'rebuild')}"
            if measurement_plan.rebuilds
            else ""
        )
        parts.append(f"at the end {finalists} beside it, in {measurement_plan.sessions} sessions{builds}")
    return [f"Measured besides: {' and '.join(parts)}."] if parts else []


def _choices(dimension: Dimension, baseline: object) -> str:
    return ", ".join(text_of(choice) + ("*" if choice == baseline else "") for choice in dimension.choices)


def _left_out(space: spaces.Space) -> list[str]:
    return [
        f"{one.name}={choice} is left out: {reason}."
        for one in space
        for choice, reason in one.excluded.items()
    ]
