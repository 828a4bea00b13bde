import pytest

from studies.belief.measurement_plan import TRIALS_ALONE, MeasurementPlan
from studies.belief.noise import Noise
from studies.search.stopping import LARGEST_LEAST_GAIN, Left, Stopped, is_converged, least_gain


def test_a_search_ends_when_more_is_unlikely() -> None:
    assert is_converged(Left(0.001, 0.01))
    assert not is_converged(Left(0.001, 0.03))
    assert not is_converged(None)


def test_least_gain_is_at_least_the_detectable_difference() -> None:
    noisy, quiet = Noise(0.03, 0.03, 6, 0.09), Noise(0.001, 0.001, 6, 0.003)
    assert least_gain(0.01, quiet, MeasurementPlan()) == 0.01
    assert least_gain(0.01, noisy, MeasurementPlan(sessions=9)) == pytest.approx(0.03)
    assert least_gain(0.01, None, MeasurementPlan()) == 0.01


def test_least_gain_is_limited_on_a_noisy_machine() -> None:
    disturbed = Noise(3.0, 3.0, 6, 28.0)
    assert least_gain(0.01, disturbed, MeasurementPlan()) == LARGEST_LEAST_GAIN
    assert least_gain(0.01, disturbed, TRIALS_ALONE) == LARGEST_LEAST_GAIN
    assert least_gain(0.2, disturbed, MeasurementPlan()) == 0.2


def test_a_stop_holds_until_there_are_more_trials_or_less_gain_counts() -> None:
    stopped = Stopped(20, 0.01, Left(0.001, 0.01, least=0.03))
    assert stopped.holds(20, wanted=0.01, least=0.03)
    assert stopped.holds(20, wanted=0.02, least=0.025)
    assert not stopped.holds(21, wanted=0.01, least=0.03)
    assert not stopped.holds(20, wanted=0.005, least=0.03)
    # such as with finals, which tell less apart than single measurements
    assert not stopped.holds(20, wanted=0.01, least=0.015)
