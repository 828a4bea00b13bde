"""Opens a study with plain Optuna: `python examples/optuna_study.py DATABASE STUDY`.

Every study is an ordinary Optuna study in the same database, so Optuna's own tools work on it.
"""

import sys
from pathlib import Path

import optuna
from optuna.trial import TrialState


def main(database: Path, name: str) -> None:
    """Prints the share of each parameter in the objective's variance, as Optuna estimates it."""
    study = optuna.load_study(study_name=name, storage=f"sqlite:///{database}")
    finished = study.get_trials(states=(TrialState.COMPLETE,))
    print(f"{len(study.trials)} trials, {len(finished)} with a value, best {study.best_value:.4g}")
    for parameter, share in optuna.importance.get_param_importances(study).items():
        print(f"{parameter:30} {share:.2f}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2])
