import math
import re
from dataclasses import replace

import numpy as np
import pytest

from engines.core.errors import UserError
from engines.core.results import Accuracy, Artifact, Block, Evaluation, Failure, Measurement, OutputError
from engines.core.values import Candidate, TaskMetric
from engines.statistics.estimates import Estimate
from studies.core.metrics import METRICS, is_exact, metrics_of, value_of
from studies.core.objectives import judge, parse_constraints, parse_objectives, violations_of
from studies.core.records import Constraint, Objective
from tests.workloads import file_at

BLOCKS = tuple(Block(np.array([1.0, 2.0, 3.0]) + shift, 0.01, 0.0) for shift in (0.0, 0.1, 0.2))
MEASURED = Evaluation(
    Candidate(),
    engine=Artifact("e", 2048, 0.0, reused=True, facts={"build_seconds": 1.5}),
    accuracy=Accuracy(
        (OutputError("y", 0.02, 0.5, 0.25, 0.9, 0.75), OutputError("z", 0.001, 0.7, 0.3, 0.99)), 4
    ),
    measurement=Measurement(BLOCKS, 4, 1, 0.1, 3, converged=True, memory_bytes=100, device_memory_bytes=200),
)
F1 = TaskMetric("f1", "task:f1", "maximize", file_at("/here", "ab"))
FAILED = Evaluation(Candidate(), failure=Failure("build", "refused", "no"))


def test_every_metric_is_derived_from_a_full_evaluation() -> None:
    metrics = metrics_of(MEASURED)
    # these need more samples, telemetry or an option
    assert set(METRICS) - set(metrics) == {"p99_bound_ms", "cold_ms", "energy_mj", "power_w", "clock_mhz"}
    values = {name: estimate.value for name, estimate in metrics.items()}
    assert values["latency_ms"] == pytest.approx(2.1)
    assert values["mean_ms"] == pytest.approx(2.1)
    assert values["p99_ms"] == pytest.approx(3.2)
    assert values["throughput"] == pytest.approx(9 * 4 / 0.03)
    assert (values["error"], values["max_abs_error"]) == (0.02, 0.7)
    assert (values["mean_abs_error"], values["cosine"], values["top1_agreement"]) == (0.3, 0.9, 0.75)
    assert values["snr_db"] == pytest.approx(-20 * math.log10(0.02))
    assert (values["engine_bytes"], values["build_seconds"]) == (2048, 1.5)
    assert (values["memory_bytes"], values["device_memory_bytes"]) == (100, 200)


def test_metrics_of_telemetry_cold_blocks_and_many_samples_are_derived() -> None:
    telemetry = {"energy_mj": 200_000.0, "power_w": 400.0, "clock_mhz": 1980.0}
    block = Block(np.full(300, 2.0), 0.6, 0.0, telemetry)
    cold = Block(np.full(10, 3.0), 0.1, 0.0)
    measured = replace(MEASURED, measurement=Measurement((block,) * 2, 1, 1, 0.1, 3, True, cold=(cold,)))
    values = {name: estimate.value for name, estimate in metrics_of(measured).items()}
    assert values["p99_bound_ms"] == 2.0
    assert values["cold_ms"] == 3.0
    assert values["energy_mj"] == pytest.approx(200_000.0 / 300)
    assert (values["power_w"], values["clock_mhz"]) == (400.0, 1980.0)


def test_metric_missing_from_a_pruned_trial_is_not_a_violation() -> None:
    constraints = parse_constraints(["p99_bound_ms<=33"])
    assert MEASURED.measurement is not None
    pruned = replace(MEASURED, measurement=replace(MEASURED.measurement, pruned=True))
    assert "p99_bound_ms<=33" in judge(MEASURED, constraints)[2]
    assert "p99_bound_ms<=33" not in judge(pruned, constraints)[2]


def test_a_failure_has_the_metrics_that_were_known_by_then() -> None:
    assert metrics_of(FAILED) == {}
    late = Evaluation(Candidate(), engine=MEASURED.engine, failure=Failure("check", "not_finite", "NaN"))
    assert set(metrics_of(late)) == {"engine_bytes", "build_seconds"}


def test_the_default_objective_is_the_median_latency() -> None:
    assert parse_objectives([]) == (Objective("latency_ms", "minimize"),)


def test_each_objective_knows_its_direction() -> None:
    assert parse_objectives(["throughput", "error"]) == (
        Objective("throughput", "maximize"),
        Objective("error", "minimize"),
    )


def test_a_limit_on_the_error_is_added_unless_there_is_one() -> None:
    assert parse_constraints(["p99_ms<=5"]) == (
        Constraint("p99_ms", "<=", 5.0),
        Constraint("error", "<=", 0.01),
    )
    assert parse_constraints(["max_abs_error<=1"]) == (Constraint("max_abs_error", "<=", 1.0),)
    assert parse_constraints(["error<=0.5"]) == (Constraint("error", "<=", 0.5),)


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["error<=-1"], "nothing can keep error<=-1: error is never below 0"),
        (["latency_ms<=1", "latency_ms>=2"], "nothing can keep both latency_ms>=2 and latency_ms<=1"),
    ],
)
def test_constraint_that_no_engine_can_satisfy_is_refused(texts: list[str], said: str) -> None:
    with pytest.raises(UserError, match=re.escape(said)):
        parse_constraints(texts)


def test_limits_of_what_may_be_negative_and_a_range_are_taken() -> None:
    own = TaskMetric("log_likelihood", "m:f", "minimize", file_at("/here", "ab"))
    texts = ["log_likelihood<=-3", "snr_db<=-1", "latency_ms>=2", "latency_ms<=2"]
    assert [str(one) for one in parse_constraints(texts, [own])] == texts


@pytest.mark.parametrize(
    "text",
    ["mean_abs_error<=1", "cosine>=0.99", "snr_db>=40", "top1_agreement>=0.9", "f1>=0.5"],
)
def test_a_limit_on_any_measure_of_accuracy_is_one_on_the_error(text: str) -> None:
    assert [str(one) for one in parse_constraints([text], [F1])] == [text]


def test_metrics_missing_from_an_older_database_are_left_out() -> None:
    old = replace(MEASURED, accuracy=Accuracy((OutputError("y", 0.02, 0.5),), 4))
    assert not {"mean_abs_error", "cosine", "top1_agreement"} & metrics_of(old).keys()
    assert "snr_db" in metrics_of(old)


def test_a_metric_of_the_users_is_an_objective_and_a_constraint_like_any_other() -> None:
    assert parse_objectives(["latency_ms", "f1"], [F1]) == (
        Objective("latency_ms", "minimize"),
        Objective("f1", "maximize"),
    )
    assert MEASURED.accuracy is not None
    scored = replace(MEASURED, accuracy=replace(MEASURED.accuracy, scores={"f1": 0.8}))
    limits = parse_constraints(["f1>=0.9"], [F1])
    state, metrics, violations = judge(scored, limits)
    assert (state, metrics["f1"]) == ("infeasible", Estimate(0.8))
    assert violations == {"f1>=0.9": pytest.approx(0.1)}
    assert value_of(scored, "f1") == Estimate(0.8)
    assert value_of(MEASURED, "f1") is None
    assert is_exact("f1")


@pytest.mark.parametrize("names", [("latency_ms",), ("f1", "f1")])
def test_a_metric_of_the_users_needs_a_name_of_its_own(names: tuple[str, ...]) -> None:
    with pytest.raises(UserError, match="there is a metric named") as caught:
        parse_objectives([], [replace(F1, name=name) for name in names])
    assert caught.value.hint


def test_a_metric_of_the_users_is_known_only_where_it_was_given() -> None:
    with pytest.raises(UserError, match="unknown metric 'f1'"):
        parse_constraints(["f1>=0.9"])


@pytest.mark.parametrize("text", ["throughput>=100", " throughput >= 1e2 "])
def test_a_constraint_may_have_spaces_and_exponents(text: str) -> None:
    assert parse_constraints([text])[0] == Constraint("throughput", ">=", 100.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("error", "cannot read the constraint"),
        ("error<=", "cannot read the constraint"),
        ("error<0.1", "a constraint is <= or >="),
        ("error==0.1", "a constraint is <= or >="),
        ("error<=lots", "'lots' is not a number"),
        ("error<=nan", "'nan' is not a number"),
        ("error<=inf", "'inf' is not a number"),
        ("fault<=0.1", "unknown metric 'fault' in the constraint"),
    ],
)
def test_a_constraint_that_cannot_be_read_is_the_users_mistake(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        parse_constraints([text])
    assert caught.value.hint


def test_an_unknown_objective_names_the_nearest() -> None:
    with pytest.raises(UserError, match="unknown metric 'latencyms'") as caught:
        parse_objectives(["latencyms"])
    assert "latency_ms" in caught.value.hint


def test_an_objective_named_twice_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match="named twice"):
        parse_objectives(["error", "error"])


def test_an_evaluation_is_feasible_infeasible_or_failed() -> None:
    assert judge(MEASURED, [Constraint("error", "<=", 0.02)])[0] == "feasible"
    state, _, violations = judge(MEASURED, [Constraint("error", "<=", 0.01)])
    assert state == "infeasible"
    assert violations == {"error<=0.01": pytest.approx(0.01)}
    assert judge(FAILED, [Constraint("error", "<=", 0.01)]) == ("failed", {}, {})


def test_a_metric_that_is_not_known_misses_its_limit() -> None:
    assert violations_of({}, [Constraint("memory_bytes", "<=", 5)]) == {"memory_bytes<=5": math.inf}


def test_value_below_a_lower_limit_is_a_violation() -> None:
    limit = [Constraint("throughput", ">=", 10)]
    assert violations_of({"throughput": Estimate(8.0)}, limit) == {"throughput>=10": 2.0}
    assert violations_of({"throughput": Estimate(10.0)}, limit) == {}
