"""What a search would do and cost, before anything is run."""

from typing import Any

from dashboards import formats
from engines.shape_text import format_shapes
from engines.values import Dimension, text_of
from studies import space as spaces
from studies.rigour import fitting
from tuner.options import SearchOptions
from tuner.searching import Plan
from tuner.tables import add_row, new_table, print_table


def plan_document(plan: Plan, options: SearchOptions) -> dict[str, Any]:
    """The plan for other programs."""
    spec = plan.spec
    return {
        "schema": 1,
        "backend": spec.backend,
        "space": [
            {
                "name": one.name,
                "kind": one.kind,
                "choices": list(one.choices),
                "excluded": dict(one.excluded),
                "about": one.about,
            }
            for one in spec.space
        ],
        "candidates": spaces.size(spec.space),
        "engines": spaces.engines_in(spec.space),
        "baseline": spec.baseline.settings,
        "objectives": [objective.metric for objective in spec.objectives],
        "constraints": [str(constraint) for constraint in spec.constraints],
        "trials": _trials(plan, options),
        "measuring_seconds": list(measuring_seconds(plan, options)),
    }


def print_plan(plan: Plan, options: SearchOptions) -> None:
    """The plan for people."""
    spec, machine = plan.spec, plan.spec.machine
    shapes = format_shapes({name: of.optimum for name, of in spec.workload.shapes.items()})
    print(f"model        {spec.workload.model.path} at {shapes}")
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


def measuring_seconds(plan: Plan, options: SearchOptions) -> tuple[float, float]:
    """The least and the most time that warming up and measuring take; builds and checks come on top."""
    policy, trials = options.policy, _trials(plan, options)
    least = policy.warmup_seconds + policy.minimum_seconds
    most = 5 * policy.warmup_seconds + policy.maximum_seconds
    return trials * least, trials * most


def _cost(plan: Plan, options: SearchOptions) -> list[str]:
    space, trials = plan.spec.space, _trials(plan, options)
    engines = spaces.engines_in(space)
    builds = min(engines + 1, trials)
    low, high = measuring_seconds(plan, options)
    return [
        f"{spaces.size(space):,} candidates of {formats.plural(engines, 'engine')}: "
        "what differs in run dimensions alone shares an engine.",
        f"{formats.plural(trials, 'trial')}: at most {formats.plural(builds, 'build')}, and "
        f"{formats.duration(low)} to {formats.duration(high)} of measuring.",
        *_again(plan, options, trials),
        "Nothing was run. The time of a build is known after the baseline, and shown from then on.",
    ]


def _again(plan: Plan, options: SearchOptions, trials: int) -> list[str]:
    """What is measured besides the trials."""
    rigour = fitting(options.rigour, plan.spec.objectives)
    runs = rigour.self_test_runs + (trials // rigour.anchor_every if rigour.anchor_every else 0)
    parts = [f"the baseline about {formats.plural(runs, 'time')} more"] if runs else []
    if rigour.finalists:
        finalists = formats.plural(rigour.finalists, "finalist")
        builds = f", each with {formats.plural(rigour.rebuilds, 'rebuild')}" if rigour.rebuilds else ""
        parts.append(f"at the end {finalists} beside it, in {rigour.sessions} sessions{builds}")
    return [f"Measured besides: {' and '.join(parts)}."] if parts else []


def _trials(plan: Plan, options: SearchOptions) -> int:
    outside = any(plan.spec.baseline.settings.get(one.name) not in one.choices for one in plan.spec.space)
    return min(options.trials, spaces.size(plan.spec.space) + outside)


def _choices(dimension: Dimension, baseline: object) -> str:
    return ", ".join(text_of(choice) + ("*" if choice == baseline else "") for choice in dimension.choices)


def _left_out(space: spaces.Space) -> list[str]:
    return [
        f"{one.name}={choice} is left out: {reason}."
        for one in space
        for choice, reason in one.excluded.items()
    ]
