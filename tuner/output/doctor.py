"""What `tuner doctor` prints."""

from pathlib import Path

from dashboards.words import formats
from studies.core.metrics import METRICS
from tuner.terminal.tables import add_row, new_table, print_table
from tuner.workflows.doctor import METRIC, Diagnosis, SelfTest

VERDICTS = ("noisy", "fine", "unknown")


def print_diagnosis(diagnosis: Diagnosis) -> None:
    """Print the diagnosis for people, what is noisy first."""
    table = new_table("condition", "verdict", "found", "what to do")
    for one in sorted(diagnosis.conditions, key=lambda one: VERDICTS.index(one.verdict)):
        add_row(table, one.name, one.verdict, one.found, one.advice)
    print_table(table)
    if diagnosis.test is not None:
        print("\n" + "\n".join(_test_lines(diagnosis.test, diagnosis.model)))


def _test_lines(test: SelfTest, model: Path | None) -> list[str]:
    low, high = (formats.number(end(one.value for one in test.values)) for end in (min, max))
    runs = f"{len(test.values)} runs of {formats.number(test.seconds, 2)} s"
    smallest = f"{formats.number(100 * test.noise.detectable, 2)} %"
    lines = [
        f"The same engine took {low} to {high} {METRICS[METRIC].unit}"
        f" ({METRICS[METRIC].about}) with {test.backend} on {test.machine.processor}.",
        f"This machine can tell two engines apart that differ by {smallest} or more ({runs}).",
    ]
    return lines if model else [*lines, "That was a made-up network; tuner doctor MODEL says it of yours."]
