import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from alembic.operations import Operations
from sqlalchemy import Engine, inspect, text

from engines.core import wire
from engines.core.errors import UserError
from engines.core.results import Accuracy, Artifact, Block, Evaluation, Measurement, OutputError
from engines.core.values import Candidate, Settings
from studies.core.records import StudySpec
from studies.storage.database import open_engine, parse_url, reading, writing
from studies.storage.migrations import MIGRATIONS, migrate
from studies.storage.storage import Storage, open_storage
from tests.paths import ROOT


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = open_engine(parse_url(database_url))
    yield engine
    engine.dispose()


def m999_note_the_machine(op: Operations) -> None:
    op.execute("ALTER TABLE tuner_study ADD COLUMN note TEXT")
    op.execute("UPDATE tuner_study SET note = backend")


def m999_fails_half_way(op: Operations) -> None:
    op.execute("CREATE TABLE tuner_half (id INTEGER PRIMARY KEY)")
    op.execute("DROP TABLE tuner_machine_of_old")


def versions(engine: Engine) -> list[int]:
    with reading(engine) as connection:
        return list(connection.exec_driver_sql("SELECT version FROM tuner_schema ORDER BY version").scalars())


def fill(storage: Storage, spec: StudySpec) -> None:
    storage.create_study("study", spec, {"trt-tuner": "0.1.0"})
    storage.add_trial(
        "study", 0, "key", EVALUATION, started_at=datetime.now(UTC), seconds=1.0, reused=False, log="log"
    )


EVALUATION = Evaluation(
    Candidate(run=Settings(threads=2)),
    Artifact("gg", 10, 0.5, False, {"nodes": 3}),
    Artifact("ee", 20, 0.0, True),
    Accuracy((OutputError("y", 0.25, 0.5),), 8),
    Measurement((Block(np.array([1.0, 2.0]), 0.5, 3.0, {"clock": 1.5}),), 8, 1, 0.5, 10, True, 100),
    stage_seconds={"measure": 0.5},
)


def as_first_stored(spec: StudySpec) -> str:
    """Its JSON when a workload had shapes, a batch and paths."""
    plain = wire.to_plain(spec)
    workload = plain["workload"]
    plan = workload.pop("plan")
    workload.update(shapes=plan["profiles"][0]["ranges"], batch=plan["cases"][0]["batch"])
    for value in (workload["model"], workload["inputs"]):
        file = value.pop("file")
        value.update(path=file["where"], digest=file["digest"])
    return json.dumps(plain)


def rows_of_the_first_schema(spec: StudySpec, zone: str) -> dict[str, dict[str, object]]:
    """What the first version writes, spelt out: never to be changed, as databases of it are out there."""
    time = f"2025-11-21 07:00:00.000000{zone}"
    making = '"reused": {}, "size_bytes": {}, "seconds": {}, "facts": {}, "digest": "{}"'
    return {
        "tuner_machine": {"digest": "mm", "facts": "{}"},
        "tuner_study": {
            "id": 1,
            "name": "old",
            "created_at": time,
            "model_path": "/models/net.onnx",
            "model_digest": "ab",
            "backend": "fake",
            "machine_digest": "mm",
            "versions": '{"trt-tuner": "0.1.0"}',
            "spec": as_first_stored(spec),
        },
        "tuner_graph": {"digest": "gg", "size_bytes": 10, "seconds": 0.5, "facts": '{"nodes": 3}'},
        "tuner_engine": {"digest": "ee", "size_bytes": 20, "seconds": 0.0, "facts": "{}"},
        "tuner_evaluation": {
            "id": 1,
            "key": "key",
            "candidate": '{"build":{},"graph":{},"run":{"threads":2}}',
            "graph_digest": "gg",
            "graph": "{" + making.format("false", 10, 0.5, '{"nodes": 3}', "gg") + "}",
            "engine_digest": "ee",
            "engine": "{" + making.format("true", 20, 0.0, "{}", "ee") + "}",
            "accuracy_samples": 8,
            "stage_seconds": '{"measure": 0.5}',
        },
        "tuner_measurement": {
            "evaluation_id": 1,
            "batch": 8,
            "streams": 1,
            "warmup_seconds": 0.5,
            "warmup_runs": 10,
            "converged": True,
            "memory_bytes": 100,
            "blocks": '[{"count": 2, "span_seconds": 0.5, "started_at": 3.0, "telemetry": {"clock": 1.5}}]',
            "samples": zlib.compress(struct.pack("<2d", 1.0, 2.0)),
        },
        "tuner_accuracy": {
            "evaluation_id": 1,
            "position": 0,
            "output": "y",
            "relative_l2": 0.25,
            "max_abs": 0.5,
        },
        "tuner_trial": {
            "id": 1,
            "study_id": 1,
            "number": 0,
            "candidate": '{"build":{},"graph":{},"run":{"threads":2}}',
            "evaluation_id": 1,
            "started_at": time,
            "finished_at": time,
            "seconds": 2.5,
            "reused": False,
        },
        "tuner_log": {"trial_id": 1, "text": zlib.compress(b"a log")},
        "tuner_event": {"id": 1, "study_id": 1, "at": time, "kind": "created", "message": ""},
    }


def test_a_new_database_gets_every_schema_in_turn(engine: Engine) -> None:
    migrate(engine)
    assert versions(engine) == list(range(1, len(MIGRATIONS) + 1))


def test_a_database_that_is_up_to_date_is_not_written_to(tmp_path: Path) -> None:
    path = tmp_path / "studies.db"
    open_storage(str(path)).close()
    with open_storage(str(path)), open_storage(f"sqlite:///file:{path}?mode=ro&uri=true") as readable:
        assert readable.study_names() == ()


def test_alembic_is_loaded_only_where_a_migration_runs(tmp_path: Path) -> None:
    script = (
        "import sys; from studies.storage.storage import open_storage; open_storage(sys.argv[1]).close(); "
        "print('alembic' in sys.modules)"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "studies.db")]
    loaded = [subprocess.check_output(command, cwd=ROOT, text=True).strip() for _ in range(2)]
    assert loaded == ["True", "False"]


def test_searches_that_begin_at_once_make_each_table_once(database_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        for opened in [pool.submit(open_storage, database_url) for _ in range(4)]:
            opened.result().close()
    with open_storage(database_url) as storage:
        assert versions(storage.engine) == list(range(1, len(MIGRATIONS) + 1))


def test_a_database_of_the_first_schema_is_brought_forward(engine: Engine, study_spec: StudySpec) -> None:
    migrate(engine, MIGRATIONS[:1])
    zone = "" if engine.dialect.name == "sqlite" else "+00"
    with writing(engine) as connection:
        for table, values in rows_of_the_first_schema(study_spec, zone).items():
            names = ", ".join(f":{name}" for name in values)
            connection.execute(text(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({names})"), values)
    migrate(engine)
    assert versions(engine) == list(range(1, len(MIGRATIONS) + 1))
    study = Storage(engine).read_study("old")
    assert (study.spec, study.versions) == (study_spec, {"trt-tuner": "0.1.0"})
    assert study.created_at == datetime(2025, 11, 21, 7, tzinfo=UTC)
    assert study.priors == ()
    files = Storage(engine).files("old")
    assert [(one.role, one.name, one.where) for one in files] == [
        ("inputs", "in.npz", "/data/in.npz"),
        ("model", "net.onnx", "/models/net.onnx"),
    ]
    (trial,) = study.trials
    assert (trial.candidate, trial.seconds, trial.log) == (Candidate(run=Settings(threads=2)), 2.5, "a log")
    assert wire.to_plain(trial.evaluation) == wire.to_plain(EVALUATION)


def test_going_forward_keeps_what_is_stored(engine: Engine, study_spec: StudySpec) -> None:
    migrate(engine, MIGRATIONS)
    fill(Storage(engine), study_spec)
    migrate(engine, (*MIGRATIONS, m999_note_the_machine))
    assert versions(engine)[-1] == len(MIGRATIONS) + 1
    with reading(engine) as connection:
        assert connection.exec_driver_sql("SELECT note FROM tuner_study").scalar() == "fake"
    (trial,) = Storage(engine).read_study("study").trials
    assert trial.log == "log"


def test_a_step_that_fails_leaves_the_database_as_it_was(engine: Engine, study_spec: StudySpec) -> None:
    migrate(engine)
    fill(Storage(engine), study_spec)
    with pytest.raises(Exception, match="tuner_machine_of_old"):
        migrate(engine, (*MIGRATIONS, m999_note_the_machine, m999_fails_half_way))
    assert versions(engine) == list(range(1, len(MIGRATIONS) + 1))
    columns = [column["name"] for column in inspect(engine).get_columns("tuner_study")]
    assert "note" not in columns
    assert not inspect(engine).has_table("tuner_half")
    assert len(Storage(engine).read_study("study").trials) == 1


def test_a_newer_schema_is_refused(database_url: str, engine: Engine) -> None:
    migrate(engine)
    with writing(engine) as connection:
        connection.exec_driver_sql("INSERT INTO tuner_schema VALUES (1000, '2030-01-01 00:00:00')")
    with pytest.raises(UserError, match=r"was written by a newer version .*1000") as refused:
        open_storage(database_url)
    assert "pip install --upgrade trt-tuner" in refused.value.hint
