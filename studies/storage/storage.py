"""Keep studies in a database: what was asked, and all results from the first trial on.

The database may also hold Optuna's own tables. Nothing is ever changed or deleted here, only added; what is
under way (attempts) alone changes, and goes when its trial is stored.
"""

import json
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import IntegrityError

from engines.core.errors import UserError
from engines.core.results import Evaluation
from engines.machine.device import Device
from studies.core.records import (
    AttemptRecord,
    Constraint,
    Prior,
    RepeatRecord,
    StudyRecord,
    StudySpec,
    TrialRecord,
)
from studies.storage import database, device_rows, file_rows, study_rows
from studies.storage.database import location, reading, writing
from studies.storage.errors import is_duplicate, translated
from studies.storage.evaluation_rows import newest_evaluation_id, read_evaluation
from studies.storage.file_rows import StudyFile
from studies.storage.migrations import migrate
from studies.storage.repeat_rows import count_repeats, insert_repeat
from studies.storage.study_rows import Event, FinishedTrial, NewTrial, StudySummary

__all__ = ["Event", "FinishedTrial", "Storage", "StudyFile", "StudySummary", "open_storage"]


def open_storage(url: str) -> "Storage":
    """Open the storage at a path, a sqlite:/// URL or a postgresql:// URL; creates or migrates it if needed.

    Raises UserError when it cannot be opened, or was written by a newer version.
    """
    engine = database.open_engine(database.parse_url(url))
    try:
        migrate(engine)
    except BaseException:
        engine.dispose()
        raise
    return Storage(engine)


class Storage:
    """An open storage, to be closed or used in a with statement; all methods raise UserError when it fails.

    `url` is what SQLAlchemy and Optuna open it by, password included; `location` is its name for messages.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.url = engine.url.render_as_string(hide_password=False)
        self.location = location(engine.url)

    def __enter__(self) -> "Storage":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        self.engine.dispose()

    def engine_options(self) -> dict[str, Any]:
        """Return the arguments of create_engine for `url`: the `engine_kwargs` of Optuna's RDBStorage."""
        return database.engine_options(self.engine.url)

    @contextmanager
    def errors_translated(self, *wrappers: type[Exception]) -> Iterator[None]:
        """Convert the database errors of other users of `url` to UserError.

        `wrappers` are exceptions that have such an error as their cause (optuna's StorageInternalError).
        """
        with translated(self.engine.url, wrappers):
            yield

    def create_study(
        self, name: str, spec: StudySpec, versions: Mapping[str, str], priors: Sequence[Prior] = ()
    ) -> None:
        """Add a study without trials; raises UserError if the name is taken."""
        try:
            with writing(self.engine) as connection:
                study_rows.insert_study(connection, name, spec, versions, priors)
        except IntegrityError as error:
            if not is_duplicate(error):
                raise
            hint = "Choose another name, or go on with that study."
            raise UserError(f"there is a study {name!r} in {self.location} already", hint) from error

    def study_names(self) -> tuple[str, ...]:
        """Return the names of all studies, the newest last."""
        with self._reading() as connection:
            return study_rows.study_names(connection)

    def summaries(self) -> tuple[StudySummary, ...]:
        """Return summaries of all studies, the newest last; reads no samples."""
        with self._reading() as connection:
            return study_rows.read_summaries(connection)

    def find_spec(self, name: str) -> StudySpec | None:
        """Return the spec of a study; None if there is no study of that name."""
        with self._reading() as connection:
            return study_rows.find_spec(connection, name)

    def read_study(self, name: str) -> StudyRecord:
        """Return a study with all its data; raises UserError, with the names that exist, if there is none."""
        with self._reading() as connection:
            return study_rows.read_study(connection, name)

    def read_since(self, study: StudyRecord) -> StudyRecord:
        """Return the study with what was added since it was read; reads and judges only what is new.

        The same record where nothing was added.
        """
        with self._reading() as connection:
            return study_rows.read_since(connection, study)

    def read_trials(
        self,
        study: str,
        numbers: Collection[int],
        constraints: Sequence[Constraint],
        metrics: Collection[str],
    ) -> tuple[TrialRecord, ...]:
        """Return these trials as the constraints judge them, with only these metrics and without logs, which
        is faster.
        """
        with self._reading() as connection:
            return study_rows.read_trials(connection, study, numbers, constraints, metrics)

    def add_trial(  # noqa: PLR0913  (all that a trial is)
        self,
        study: str,
        number: int,
        key: str,
        evaluation: Evaluation,
        *,
        started_at: datetime,
        seconds: float,
        reused: bool,
        log: str,
        device: str = "",
    ) -> None:
        """Store a trial in one transaction; a reused one refers to the newest evaluation of its key.

        `key` is the digest of everything that decides the outcome, `device` the name of the device that it
        was measured on ("" when it is not known). The attempt of that number goes. Trials may be stored in
        any order of their numbers. Raises UserError when the study has a trial of that number.
        """
        trial = NewTrial(number, started_at, seconds, reused, log, device)
        try:
            with writing(self.engine) as connection:
                study_rows.insert_trial(connection, study, key, evaluation, trial)
        except IntegrityError as error:
            if not is_duplicate(error):
                raise
            hint = "Another search goes on with this study: let only one of them run."
            raise UserError(f"trial {number} of study {study!r} is stored already", hint) from error

    def add_repeat(self, study: str, key: str, repeat: RepeatRecord) -> None:
        """Store a repeat of a trial's candidate; `key` is that of its trial's evaluation."""
        with writing(self.engine) as connection:
            insert_repeat(connection, study_rows.find_study_id(connection, study), key, repeat)

    def count_repeats(self, study: str) -> int:
        """Count the study's repeats; reads no samples."""
        with self._reading() as connection:
            return count_repeats(connection, study_rows.find_study_id(connection, study))

    def add_device(self, study: str, device: Device) -> None:
        """Store the facts of a device of the study's machine, unless they are stored."""
        with writing(self.engine) as connection:
            device_rows.add_device(connection, study_rows.find_study_id(connection, study), device)

    def devices(self, study: str) -> tuple[Device, ...]:
        """Return the devices of the study's machine, as they were added."""
        with self._reading() as connection:
            return device_rows.read_devices(connection, study_rows.find_study_id(connection, study))

    def files(self, study: str) -> tuple[StudyFile, ...]:
        """Return the files and folders that the study uses, in order of their roles."""
        with self._reading() as connection:
            return file_rows.read_files(connection, study_rows.find_study_id(connection, study))

    def set_attempt(self, study: str, attempt: AttemptRecord) -> None:
        """Store a trial that is under way, or its progress."""
        with writing(self.engine) as connection:
            device_rows.set_attempt(connection, study_rows.find_study_id(connection, study), attempt)

    def remove_attempts(self, study: str, numbers: Collection[int] | None = None) -> None:
        """Remove the attempts of these numbers, or all that an earlier search left."""
        with writing(self.engine) as connection:
            study_id = study_rows.find_study_id(connection, study)
            device_rows.remove_attempts(connection, study_id, numbers)

    def attempts(self, study: str) -> tuple[AttemptRecord, ...]:
        """Return the study's trials that are under way, in order of their numbers.

        A search that crashed leaves its own behind, with an old heartbeat, until the study is gone on with.
        """
        with self._reading() as connection:
            return device_rows.read_attempts(connection, study_rows.find_study_id(connection, study))

    def finished(self, study: str) -> tuple[FinishedTrial, ...]:
        """Return the number, candidate and evaluation key of every trial, in order; reads no samples."""
        with self._reading() as connection:
            return study_rows.read_finished(connection, study)

    def find_evaluation(self, key: str) -> Evaluation | None:
        """Return the newest evaluation of the key, from any study; None if there is none."""
        with self._reading() as connection:
            evaluation_id = newest_evaluation_id(connection, key)
            return None if evaluation_id is None else read_evaluation(connection, evaluation_id)

    def add_event(self, study: str, kind: str, message: str) -> None:
        """Store an event of a study, with the current time."""
        with writing(self.engine) as connection:
            study_rows.insert_event(connection, study, kind, message)

    def events(self, study: str) -> tuple[Event, ...]:
        """Return the events of a study, the newest last."""
        with self._reading() as connection:
            return study_rows.read_events(connection, study)

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        try:
            with reading(self.engine) as connection:
                yield connection
        except (msgspec.MsgspecError, zlib.error, json.JSONDecodeError) as error:
            raise UserError(
                f"the storage {self.location} holds something that cannot be read ({error})",
                "It is damaged, or a newer version wrote it: restore a copy, or upgrade trt-tuner.",
            ) from error
