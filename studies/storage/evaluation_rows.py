"""Store evaluations as rows and read them back exactly, with every sample and fact."""

import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import numpy as np
from sqlalchemy import ColumnElement, Connection, Row, insert, select

from engines.artifacts.fingerprints import MEASURED_AS
from engines.core import wire
from engines.core.results import Accuracy, Artifact, Block, Evaluation, Failure, Measurement, OutputError
from engines.core.values import Candidate, Samples
from studies.storage import schema
from studies.storage.statements import insert_once

# the mantissas of timings are noise: higher levels cost twice the time and save nothing
_COMPRESSION = 1
# of an output, in the order of the fields of OutputError
_MEASURES = ("relative_l2", "max_abs", "mean_abs", "cosine", "top1")
# what the blocks of a measurement are, as its fields are named; what latencies are made of is not kept
_ROLES = ("blocks", "cold", "discarded")


def insert_evaluation(connection: Connection, key: str, evaluation: Evaluation) -> int:
    """Add an evaluation with all its data, and return its id."""
    for table, artifact in ((schema.graph, evaluation.graph), (schema.engine, evaluation.engine)):
        if artifact:
            insert_once(connection, table, **_first_making(artifact))
    statement = insert(schema.evaluation).returning(schema.evaluation.c.id)
    evaluation_id: int = connection.execute(statement, _evaluation_row(key, evaluation)).scalar_one()
    if evaluation.accuracy and evaluation.accuracy.outputs:
        connection.execute(insert(schema.accuracy), list(_accuracy_rows(evaluation_id, evaluation.accuracy)))
    if evaluation.measurement:
        row = _measurement_row(evaluation_id, evaluation.measurement)
        connection.execute(insert(schema.measurement), row)
    return evaluation_id


def read_evaluations(connection: Connection, chosen: ColumnElement[bool]) -> dict[int, Evaluation]:
    """Return the evaluations whose row in tuner_evaluation is selected, by id."""
    errors = defaultdict(list)
    for row in connection.execute(
        select(schema.accuracy).join(schema.evaluation).where(chosen).order_by(schema.accuracy.c.position)
    ):
        errors[row.evaluation_id].append(OutputError(row.output, *(getattr(row, name) for name in _MEASURES)))
    rows = connection.execute(
        select(schema.evaluation, *_MEASUREMENT_COLUMNS)
        .select_from(schema.evaluation.outerjoin(schema.measurement))
        .where(chosen)
    )
    return {row.id: _evaluation(row, tuple(errors[row.id])) for row in rows}


def read_evaluation(connection: Connection, evaluation_id: int) -> Evaluation:
    """Return the evaluation of that id."""
    return read_evaluations(connection, schema.evaluation.c.id == evaluation_id)[evaluation_id]


def newest_evaluation_id(connection: Connection, key: str) -> int | None:
    """Return the id of the newest evaluation of the key; None if there is none."""
    return connection.scalar(
        select(schema.evaluation.c.id)
        .where(schema.evaluation.c.key == key)
        .order_by(schema.evaluation.c.id.desc())
        .limit(1)
    )


def encode_log(text: str) -> bytes:
    return zlib.compress(text.encode("utf-8", "surrogatepass"))


def decode_log(blob: bytes | None) -> str:
    return zlib.decompress(blob).decode("utf-8", "surrogatepass") if blob else ""


_MEASUREMENT_COLUMNS = [column for column in schema.measurement.c if column.name != "evaluation_id"]


def _first_making(artifact: Artifact) -> dict[str, object]:
    return {
        "digest": artifact.digest,
        "size_bytes": artifact.size_bytes,
        "seconds": artifact.seconds,
        # what an engine was measured as belongs to the evaluation, not to the engine
        "facts": {name: fact for name, fact in artifact.facts.items() if name != MEASURED_AS},
    }


def _evaluation_row(key: str, evaluation: Evaluation) -> dict[str, object]:
    graph, engine, failure = evaluation.graph, evaluation.engine, evaluation.failure
    return {
        "key": key,
        "candidate": wire.to_json(evaluation.candidate).decode(),
        "graph_digest": graph.digest if graph else None,
        "graph": graph,
        "engine_digest": engine.digest if engine else None,
        "engine": engine,
        "accuracy_samples": evaluation.accuracy.samples if evaluation.accuracy else None,
        "scores": evaluation.accuracy.scores or None if evaluation.accuracy else None,
        "failure_stage": failure.stage if failure else None,
        "failure_kind": failure.kind if failure else None,
        "failure_message": failure.message if failure else None,
        "failure_hint": failure.hint if failure else None,
        "stage_seconds": evaluation.stage_seconds,
    }


def _accuracy_rows(evaluation_id: int, accuracy: Accuracy) -> Iterator[dict[str, object]]:
    for position, output in enumerate(accuracy.outputs):
        yield {
            "evaluation_id": evaluation_id,
            "position": position,
            "output": output.name,
            **{name: getattr(output, name) for name in _MEASURES},
        }


def _measurement_row(evaluation_id: int, measurement: Measurement) -> dict[str, object]:
    roles = [(role, block) for role in _ROLES for block in getattr(measurement, role)]
    samples = [np.asarray(block.latency_ms, dtype="<f8") for _, block in roles]
    return {
        "evaluation_id": evaluation_id,
        "batch": measurement.batch,
        "streams": measurement.streams,
        "warmup_seconds": measurement.warmup_seconds,
        "warmup_runs": measurement.warmup_runs,
        "converged": measurement.converged,
        "memory_bytes": measurement.memory_bytes,
        "device_memory_bytes": measurement.device_memory_bytes,
        "pruned": measurement.pruned,
        "blocks": [_block_facts(role, block) for role, block in roles],
        "samples": zlib.compress(b"".join(block.tobytes() for block in samples), _COMPRESSION),
    }


def _block_facts(role: str, block: Block) -> dict[str, object]:
    return {
        "role": role,
        "disturbed": block.disturbed,
        "case": block.case,
        "count": len(block.latency_ms),
        "span_seconds": block.span_seconds,
        "started_at": block.started_at,
        "telemetry": block.telemetry,
    }


def _evaluation(row: Row[Any], errors: tuple[OutputError, ...]) -> Evaluation:
    return Evaluation(
        candidate=wire.from_json(row.candidate, Candidate),
        graph=msgspec.convert(row.graph, Artifact) if row.graph else None,
        engine=msgspec.convert(row.engine, Artifact) if row.engine else None,
        accuracy=_accuracy(row, errors) if row.accuracy_samples is not None else None,
        measurement=_measurement(row) if row.samples is not None else None,
        failure=_failure(row) if row.failure_stage is not None else None,
        stage_seconds=row.stage_seconds,
    )


def _accuracy(row: Row[Any], errors: tuple[OutputError, ...]) -> Accuracy:
    return Accuracy(errors, row.accuracy_samples, row.scores or {})


def _failure(row: Row[Any]) -> Failure:
    fields = {
        "stage": row.failure_stage,
        "kind": row.failure_kind,
        "message": row.failure_message,
        "hint": row.failure_hint,
    }
    return msgspec.convert(fields, Failure)


def _measurement(row: Row[Any]) -> Measurement:
    samples: Samples = np.frombuffer(zlib.decompress(row.samples), dtype="<f8")
    blocks: dict[str, list[Block]] = {role: [] for role in _ROLES}
    start = 0
    for facts in row.blocks:
        stop = start + facts["count"]
        # rows of the first schemas have neither role nor disturbance, and those before the sixth no case
        blocks[facts.get("role", "blocks")].append(_block(samples[start:stop], facts))
        start = stop
    return Measurement(
        **{role: tuple(blocks[role]) for role in _ROLES},
        batch=row.batch,
        streams=row.streams,
        warmup_seconds=row.warmup_seconds,
        warmup_runs=row.warmup_runs,
        converged=row.converged,
        memory_bytes=row.memory_bytes,
        device_memory_bytes=row.device_memory_bytes,
        pruned=row.pruned,
    )


def _block(samples: Samples, facts: Mapping[str, Any]) -> Block:
    return Block(
        samples,
        facts["span_seconds"],
        facts["started_at"],
        facts["telemetry"],
        disturbed=facts.get("disturbed", ""),
        case=facts.get("case", 0),
    )
