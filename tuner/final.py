"""Holds the finals of a study: opens a process for each finalist, and stores what each session found."""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from engines.errors import Interrupted, UserError
from engines.isolation import Worker
from engines.protocol import Open
from engines.workspace import Workspace
from studies.contest import Contest, Entry, entries_of
from studies.finalists import finalists
from studies.identity import evaluation_key
from studies.owner import Ending, Owner, Stop
from studies.records import RepeatRecord
from studies.rigour import Rigour

# of a limited time, this share and no more than these seconds are kept for the finals
FINALS_SHARE = 0.25
FINALS_SECONDS = 60.0


def searching_seconds(timeout: float | None, rigour: Rigour) -> float | None:
    """What of the time the search itself may use."""
    if timeout is None or not rigour.finalists:
        return timeout
    return timeout - min(FINALS_SHARE * timeout, FINALS_SECONDS)


def hold(owner: Owner, opening: Open, workspace: Workspace, stop: Stop) -> Ending | None:
    """Measures the finalists again where that was not done for all trials; "interrupted" if it was stopped.

    Sessions that were finished before are not repeated.
    """
    study = owner.storage.read_study(owner.name)
    entries = entries_of(finalists(study, owner.rigour.finalists), owner.rigour.rebuilds)
    if not entries:
        return None
    rivals = ", ".join(entry.name for entry in entries)
    owner.observer.note(f"measuring again, in turn, in {owner.rigour.sessions} sessions: {rivals}")
    done = _sessions_done(study.repeats, entries, len(study.trials))
    with ExitStack() as rebuilt, stop.while_running():
        folders = {0: workspace.root}
        for build in range(1, owner.rigour.rebuilds + 1):
            folders[build] = Path(rebuilt.enter_context(tempfile.TemporaryDirectory(dir=workspace.caches)))
        contest = Contest(
            entries=entries,
            after=len(study.trials),
            rigour=owner.rigour,
            open_holder=partial(_worker, opening, folders),
            say=owner.observer.preparing,
            seed=owner.seed,
        )
        try:
            for number in range(done, owner.rigour.sessions):
                if stop.requested:
                    return "interrupted"
                for repeat in contest.session(number):
                    key = evaluation_key(owner.spec, owner.policy, repeat.evaluation.candidate)
                    owner.storage.add_repeat(owner.name, key, repeat)
        except (Interrupted, KeyboardInterrupt):
            return "interrupted"
        except UserError as error:
            # what was found is worth more than an end with an error
            owner.observer.note(f"the finalists could not all be measured again: {error.message}")
    return None


def _sessions_done(repeats: tuple[RepeatRecord, ...], entries: tuple[Entry, ...], after: int) -> int:
    """The sessions in which every entry was measured already."""
    held = {
        (one.trial, one.build, one.session) for one in repeats if one.role == "final" and one.after == after
    }
    number = 0
    while all((entry.trial.number, entry.build, number) in held for entry in entries):
        number += 1
    return number


@contextmanager
def _worker(opening: Open, folders: dict[int, Path], entry: Entry) -> Iterator[Worker]:
    workspace = Workspace(folders[entry.build]).create()
    name = f"-trial-{entry.trial.number}" + (f"-rebuild-{entry.build}" if entry.build else "")
    with Worker(replace_workspace(opening, workspace), workspace, name) as worker:
        worker.start()
        yield worker


def replace_workspace(opening: Open, workspace: Workspace) -> Open:
    """The same backend and workload, with everything that is made kept elsewhere."""
    import msgspec

    return msgspec.structs.replace(opening, workspace=str(workspace.root.resolve()))
