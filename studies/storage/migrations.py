"""Migrate a database of any earlier schema to the current one: numbered functions of Alembic operations.

A released function is never changed, so none looks at `studies.storage.schema`. A new schema is one more
function at the end of MIGRATIONS and the same change in `studies.storage.schema`.

The version is kept in tuner_schema and not in a version table of Alembic's, which holds the newest revision
only: a trt-tuner from before Alembic reads tuner_schema, and refuses what it does not know. So there is no
folder of scripts either, which Alembic would search and run through its environment at each migration.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine, ForeignKey

from engines.core.errors import UserError
from studies.storage import schema
from studies.storage.database import location, reading, writing
from studies.storage.foreign_tables import refuse_foreign_tables

if TYPE_CHECKING:  # imported only when a migration has to run
    from alembic.operations import Operations

Migration = Callable[["Operations"], None]

# an arbitrary number that every trt-tuner knows: PostgreSQL's name for the lock on migrating
_MIGRATION_LOCK = 7_205_181


def migrate(engine: Engine, migrations: Sequence[Migration] | None = None) -> None:
    """Bring the database to the newest schema, in one transaction.

    Raises UserError when it was written by a newer version, or is another program's. A database that is up to
    date is only read.
    """
    migrations = MIGRATIONS if migrations is None else migrations
    with reading(engine) as connection:
        refuse_foreign_tables(connection)
        version = _version(connection)
    if version < len(migrations):
        with writing(engine) as connection:
            _go_forward(connection, migrations)
    elif version > len(migrations):
        raise UserError(
            f"the storage {location(engine.url)} was written by a newer version of trt-tuner "
            f"(its schema is {version}, this version knows {len(migrations)})",
            "Run: pip install --upgrade trt-tuner.",
        )


def _go_forward(connection: Connection, migrations: Sequence[Migration]) -> None:
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext

    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
    # read again: another process may have gone forward while this one waited for its turn
    version = _version(connection)
    operations = Operations(MigrationContext.configure(connection))
    for number, migration in enumerate(migrations[version:], version + 1):
        migration(operations)
        connection.execute(sa.insert(schema.schema).values(version=number, applied_at=datetime.now(UTC)))


def _version(connection: Connection) -> int:
    if not sa.inspect(connection).has_table(schema.schema.name):
        return 0
    return connection.scalar(sa.select(sa.func.max(schema.schema.c.version))) or 0


def _id() -> sa.Column[int]:
    return sa.Column("id", sa.Integer, sa.Identity(), primary_key=True)


def _text(name: str, *constraints: ForeignKey, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, *constraints, nullable=nullable)


def _integer(name: str, *constraints: ForeignKey) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, *constraints, nullable=False)


def _bigint(name: str, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=nullable)


def _double(name: str, nullable: bool = False) -> sa.Column[float]:
    return sa.Column(name, sa.Double, nullable=nullable)


def _boolean(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=False)


def _bytes(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary, nullable=False)


def _time(name: str) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False)


def m001_create_tables(op: "Operations") -> None:
    version = sa.Column("version", sa.Integer, primary_key=True, autoincrement=False)
    op.create_table("tuner_schema", version, _time("applied_at"))
    op.create_table("tuner_machine", sa.Column("digest", sa.Text, primary_key=True), _text("facts"))
    op.create_table(
        "tuner_study",
        _id(),
        _text("name"),
        _time("created_at"),
        _text("model_path"),
        _text("model_digest"),
        _text("backend"),
        _text("machine_digest", ForeignKey("tuner_machine.digest")),
        _text("versions"),
        _text("spec"),
        sa.UniqueConstraint("name"),
    )
    _create_tables_of_evaluations(op)
    _create_tables_of_trials(op)


def _create_tables_of_trials(op: "Operations") -> None:
    op.create_table(
        "tuner_trial",
        _id(),
        _integer("study_id", ForeignKey("tuner_study.id")),
        _integer("number"),
        _text("candidate"),
        _integer("evaluation_id", ForeignKey("tuner_evaluation.id")),
        _time("started_at"),
        _time("finished_at"),
        _double("seconds"),
        _boolean("reused"),
        sa.UniqueConstraint("study_id", "number"),
    )
    op.create_table(
        "tuner_log",
        _integer("trial_id", ForeignKey("tuner_trial.id")),
        _bytes("text"),
        sa.PrimaryKeyConstraint("trial_id"),
    )
    op.create_table(
        "tuner_event",
        _id(),
        _integer("study_id", ForeignKey("tuner_study.id")),
        _time("at"),
        _text("kind"),
        _text("message"),
    )
    op.create_index("tuner_event_study", "tuner_event", ["study_id"])


def _create_tables_of_evaluations(op: "Operations") -> None:
    for artifact in ("tuner_graph", "tuner_engine"):
        key = sa.Column("digest", sa.Text, primary_key=True)
        op.create_table(artifact, key, _bigint("size_bytes"), _double("seconds"), _text("facts"))
    op.create_table(
        "tuner_evaluation",
        _id(),
        _text("key"),
        _text("candidate"),
        _text("graph_digest", ForeignKey("tuner_graph.digest"), nullable=True),
        _text("graph", nullable=True),
        _text("engine_digest", ForeignKey("tuner_engine.digest"), nullable=True),
        _text("engine", nullable=True),
        _bigint("accuracy_samples", nullable=True),
        *(_text(f"failure_{what}", nullable=True) for what in ("stage", "kind", "message", "hint")),
        _text("stage_seconds"),
    )
    op.create_index("tuner_evaluation_key", "tuner_evaluation", ["key"])
    op.create_table(
        "tuner_measurement",
        _integer("evaluation_id", ForeignKey("tuner_evaluation.id")),
        _bigint("batch"),
        _integer("streams"),
        _double("warmup_seconds"),
        _bigint("warmup_runs"),
        _boolean("converged"),
        _bigint("memory_bytes", nullable=True),
        _text("blocks"),
        _bytes("samples"),
        sa.PrimaryKeyConstraint("evaluation_id"),
    )
    op.create_table(
        "tuner_accuracy",
        _integer("evaluation_id", ForeignKey("tuner_evaluation.id")),
        _integer("position"),
        _text("output"),
        _double("relative_l2", nullable=True),
        _double("max_abs", nullable=True),
        sa.PrimaryKeyConstraint("evaluation_id", "position"),
    )


def m002_add_device_memory(op: "Operations") -> None:
    op.add_column("tuner_measurement", _bigint("device_memory_bytes", nullable=True))


def m003_add_repeats(op: "Operations") -> None:
    behind = sa.Column("behind", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("tuner_measurement", behind)
    op.create_table(
        "tuner_repeat",
        _id(),
        _integer("study_id", ForeignKey("tuner_study.id")),
        _integer("trial"),
        _text("role"),
        _integer("after"),
        _integer("session"),
        _integer("build"),
        _integer("evaluation_id", ForeignKey("tuner_evaluation.id")),
        _time("started_at"),
    )
    op.create_index("tuner_repeat_study", "tuner_repeat", ["study_id"])


def m004_add_measures_of_accuracy(op: "Operations") -> None:
    for measure in ("mean_abs", "cosine", "top1"):
        op.add_column("tuner_accuracy", _double(measure, nullable=True))
    op.add_column("tuner_evaluation", _text("scores", nullable=True))


def m005_add_priors(op: "Operations") -> None:
    op.add_column("tuner_study", _text("priors", nullable=True))


def m006_add_devices_files_and_attempts(op: "Operations") -> None:
    """`behind` becomes `pruned`. A timed block's case, in the JSON of `blocks`, is 0 where there is none."""
    op.alter_column("tuner_measurement", "behind", new_column_name="pruned")
    op.create_table(
        "tuner_device",
        _id(),
        *(_text(name) for name in ("name", "host", "uuid", "kind", "processor")),
        _integer("index"),
        _text("machine_digest", ForeignKey("tuner_machine.digest")),
        sa.UniqueConstraint("name", "machine_digest"),
    )
    for table in ("tuner_trial", "tuner_repeat"):
        device = sa.Column("device_id", sa.Integer, ForeignKey("tuner_device.id"))
        # SQLite knows no other way to add a reference
        op.add_column(table, device, inline_references=True)
    op.create_table(
        "tuner_attempt",
        _integer("study_id", ForeignKey("tuner_study.id")),
        _integer("number"),
        *(_text(name) for name in ("candidate", "device", "stage", "detail")),
        _time("since"),
        _time("heartbeat"),
        sa.PrimaryKeyConstraint("study_id", "number"),
    )
    digest = sa.Column("digest", sa.Text, primary_key=True)
    op.create_table("tuner_file", digest, _text("name"), _text("where"))
    op.create_table(
        "tuner_study_file",
        _integer("study_id", ForeignKey("tuner_study.id")),
        _text("role"),
        _text("digest", ForeignKey("tuner_file.digest")),
        sa.PrimaryKeyConstraint("study_id", "role"),
    )
    _note_files(op.get_bind())


def _note_files(connection: Connection) -> None:
    """Those that the studies name, the newest study last, whose place stays."""
    add_file = sa.text(
        'INSERT INTO tuner_file (digest, name, "where") VALUES (:digest, :name, :where) '
        'ON CONFLICT (digest) DO UPDATE SET name = excluded.name, "where" = excluded."where"'
    )
    refer = sa.text("INSERT INTO tuner_study_file (study_id, role, digest) VALUES (:study, :role, :digest)")
    for study, spec in connection.execute(sa.text("SELECT id, spec FROM tuner_study ORDER BY id")).all():
        for role, digest, name, where in _files_of(json.loads(spec)["workload"]):
            connection.execute(add_file, {"digest": digest, "name": name, "where": where})
            connection.execute(refer, {"study": study, "role": role, "digest": digest})


def _files_of(workload: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """The role, digest, name and place of each; of a function its name and the folder that it starts from."""
    model = workload["model"]
    yield "model", model["digest"], PurePath(model["path"]).name, model["path"]
    for role in ("inputs", "calibration", "expected"):
        source = workload.get(role) or {}
        if source.get("digest") and source.get("path"):
            name = source.get("function") or PurePath(source["path"]).name
            yield role, source["digest"], name, source["path"]
    for metric in workload.get("metrics", ()):
        yield f"metric {metric['name']}", metric["digest"], metric["function"], metric["folder"]


MIGRATIONS: tuple[Migration, ...] = (
    m001_create_tables,
    m002_add_device_memory,
    m003_add_repeats,
    m004_add_measures_of_accuracy,
    m005_add_priors,
    m006_add_devices_files_and_attempts,
)
