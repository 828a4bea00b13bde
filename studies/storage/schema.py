"""The tables of a storage as they are now, beside Optuna's own in the same database.

How an older database gets here is in `studies.storage.migrations`; a test holds the two together. Rows are
only ever added, and a trial's all at once, so that whoever reads meanwhile finds each trial whole. Attempts
alone change and go.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

from studies.storage.column_types import AnyDouble, CleanText, PlainJson, UtcTime

metadata = MetaData()

schema = Table(
    "tuner_schema",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("applied_at", UtcTime, nullable=False),
)

machine = Table(
    "tuner_machine",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("facts", Text, nullable=False),
)

# as its study's machine was at the time: with another driver it is another row
device = Table(
    "tuner_device",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("name", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("uuid", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("processor", Text, nullable=False),
    Column("index", Integer, nullable=False),
    Column("machine_digest", ForeignKey("tuner_machine.digest"), nullable=False),
    UniqueConstraint("name", "machine_digest"),
)

study = Table(
    "tuner_study",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("created_at", UtcTime, nullable=False),
    Column("model_path", Text, nullable=False),
    Column("model_digest", Text, nullable=False),
    Column("backend", Text, nullable=False),
    Column("machine_digest", ForeignKey("tuner_machine.digest"), nullable=False),
    Column("versions", PlainJson, nullable=False),
    Column("spec", Text, nullable=False),
    # the earlier studies that it began with; NULL in older databases
    Column("priors", PlainJson),
)

# a file or folder by the digest of what is in it, with the place where it was last seen
file = Table(
    "tuner_file",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("where", Text, nullable=False),
)

# `role` is model, inputs, calibration, expected, or metric and the metric's name
study_file = Table(
    "tuner_study_file",
    metadata,
    Column("study_id", ForeignKey("tuner_study.id"), primary_key=True),
    Column("role", Text, primary_key=True),
    Column("digest", ForeignKey("tuner_file.digest"), nullable=False),
)

# as first stored; what later evaluations found in the workspace is in their own rows
graph = Table(
    "tuner_graph",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("facts", PlainJson, nullable=False),
)

engine = Table(
    "tuner_engine",
    metadata,
    Column("digest", Text, primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("facts", PlainJson, nullable=False),
)

# the key is not unique: a candidate measured again has two evaluations, and the newest answers
evaluation = Table(
    "tuner_evaluation",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("key", Text, nullable=False),
    Column("candidate", Text, nullable=False),
    Column("graph_digest", ForeignKey("tuner_graph.digest")),
    Column("graph", PlainJson),
    Column("engine_digest", ForeignKey("tuner_engine.digest")),
    Column("engine", PlainJson),
    Column("accuracy_samples", BigInteger),
    Column("failure_stage", Text),
    Column("failure_kind", Text),
    Column("failure_message", CleanText),
    Column("failure_hint", CleanText),
    Column("stage_seconds", PlainJson, nullable=False),
    Column("scores", PlainJson),
    Index("tuner_evaluation_key", "key"),
)

measurement = Table(
    "tuner_measurement",
    metadata,
    Column("evaluation_id", ForeignKey("tuner_evaluation.id"), primary_key=True),
    Column("batch", BigInteger, nullable=False),
    Column("streams", Integer, nullable=False),
    Column("warmup_seconds", Double, nullable=False),
    Column("warmup_runs", BigInteger, nullable=False),
    Column("converged", Boolean, nullable=False),
    Column("memory_bytes", BigInteger),
    Column("blocks", PlainJson, nullable=False),
    Column("samples", LargeBinary, nullable=False),
    Column("device_memory_bytes", BigInteger),
    Column("pruned", Boolean, nullable=False),
)

accuracy = Table(
    "tuner_accuracy",
    metadata,
    Column("evaluation_id", ForeignKey("tuner_evaluation.id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("output", Text, nullable=False),
    Column("relative_l2", AnyDouble),
    Column("max_abs", AnyDouble),
    # NULL is what was not measured, as all of these in older databases
    Column("mean_abs", Double),
    Column("cosine", Double),
    Column("top1", Double),
)

trial = Table(
    "tuner_trial",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("study_id", ForeignKey("tuner_study.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("candidate", Text, nullable=False),
    Column("evaluation_id", ForeignKey("tuner_evaluation.id"), nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("reused", Boolean, nullable=False),
    # NULL in older databases
    Column("device_id", ForeignKey("tuner_device.id")),
    UniqueConstraint("study_id", "number"),
)

repeat = Table(
    "tuner_repeat",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("study_id", ForeignKey("tuner_study.id"), nullable=False),
    Column("trial", Integer, nullable=False),
    Column("role", Text, nullable=False),
    Column("after", Integer, nullable=False),
    Column("session", Integer, nullable=False),
    Column("build", Integer, nullable=False),
    Column("evaluation_id", ForeignKey("tuner_evaluation.id"), nullable=False),
    Column("started_at", UtcTime, nullable=False),
    Column("device_id", ForeignKey("tuner_device.id")),
    Index("tuner_repeat_study", "study_id"),
)

# what is under way: `device` is a name, and nothing is stored of it before its trial is
attempt = Table(
    "tuner_attempt",
    metadata,
    Column("study_id", ForeignKey("tuner_study.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("candidate", Text, nullable=False),
    Column("device", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("detail", CleanText, nullable=False),
    Column("since", UtcTime, nullable=False),
    Column("heartbeat", UtcTime, nullable=False),
)

log = Table(
    "tuner_log",
    metadata,
    Column("trial_id", ForeignKey("tuner_trial.id"), primary_key=True),
    Column("text", LargeBinary, nullable=False),
)

event = Table(
    "tuner_event",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("study_id", ForeignKey("tuner_study.id"), nullable=False),
    Column("at", UtcTime, nullable=False),
    Column("kind", Text, nullable=False),
    Column("message", CleanText, nullable=False),
    Index("tuner_event_study", "study_id"),
)
