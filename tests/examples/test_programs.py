import subprocess
import sys
from pathlib import Path

from examples import models
from tests.paths import ROOT

EXAMPLES = ROOT / "examples"


def _run(program: str, *arguments: object) -> str:
    command = [sys.executable, str(EXAMPLES / program), *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_the_search_example_leaves_the_engine_the_trials_and_the_report(tmp_path: Path) -> None:
    model = models.save("mlp", tmp_path)
    printed = _run("search.py", model, 12, "fake")
    folder = tmp_path / "mlp-tuned"
    assert "verdict: faster" in printed
    assert (folder / "best" / "evidence.json").is_file()
    assert len((folder / "trials.csv").read_text().splitlines()) == 13
    assert (folder / "report.html").is_file()
    opened = _run("optuna_study.py", folder / "workspace" / "studies.db", "mlp")
    assert "12 trials" in opened
    assert "precision" in opened
