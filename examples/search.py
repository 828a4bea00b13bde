"""Searches a model from Python: `python examples/search.py MODEL [TRIALS [BACKEND]]`."""

import sys
from pathlib import Path

import tuner


def main(model: Path, trials: int = 20, backend: str = "auto") -> None:
    """Prints what was found, and writes the trials, the engine and the report beside the model."""
    folder = model.parent / f"{model.stem}-tuned"
    result = tuner.search(
        model,
        trials=trials,
        backend=backend,
        constraints=("error<=0.02",),
        workspace=folder / "workspace",
        progress=True,
    )
    print(f"verdict: {result.comparison.verdict}")
    if result.best is not None:
        print(f"best: trial {result.best.number} with {result.best.candidate.settings}")
        result.export(folder / "best")
    result.trials.to_csv(folder / "trials.csv")
    result.report(folder / "report.html")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    trials, backend = (sys.argv[2:] + ["20", "auto"][len(sys.argv) - 2 :])[:2]
    main(Path(sys.argv[1]), int(trials), backend)
