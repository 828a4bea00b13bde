import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import Column, Connection, MetaData, Table, insert, select
from sqlalchemy.exc import StatementError
from sqlalchemy.types import TypeEngine

from studies.storage.column_types import AnyDouble, CleanText, PlainJson, UtcTime
from studies.storage.database import open_engine, parse_url, writing

EAST = timezone(timedelta(hours=5, minutes=30))


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    engine = open_engine(parse_url(database_url))
    with writing(engine) as connection:
        yield connection
    engine.dispose()


def stored(connection: Connection, column_type: TypeEngine[Any], value: object) -> Any:
    table = Table("kept", MetaData(), Column("value", column_type))
    table.create(connection)
    connection.execute(insert(table), {"value": value})
    return connection.scalar(select(table.c.value))


def test_a_time_comes_back_in_utc_to_the_microsecond(connection: Connection) -> None:
    found = stored(connection, UtcTime(), datetime(2025, 3, 30, 2, 30, 0, 123457, EAST))
    assert found == datetime(2025, 3, 29, 21, 0, 0, 123457, UTC)
    assert found.tzinfo is UTC


def test_time_without_a_zone_is_refused(connection: Connection) -> None:
    with pytest.raises(StatementError, match="has no time zone"):
        stored(connection, UtcTime(), datetime(2025, 3, 30))


@pytest.mark.parametrize("column_type", [UtcTime(), PlainJson(), CleanText()])
def test_none_stays_none(connection: Connection, column_type: TypeEngine[Any]) -> None:
    assert stored(connection, column_type, None) is None


def test_json_keeps_types_and_numbers_that_are_not_finite(connection: Connection) -> None:
    value = {"a": [True, 1, 1.0, 0.1 + 0.2, "ü\0"], "b": {"c": math.inf, "d": None}}
    assert repr(stored(connection, PlainJson(), value)) == repr(value)


@pytest.mark.parametrize("value", [0.1 + 0.2, 5e-324, math.inf, -math.inf, math.nan])
def test_a_number_comes_back_to_the_last_bit(connection: Connection, value: float) -> None:
    assert repr(stored(connection, AnyDouble(), value)) == repr(value)


def test_text_loses_only_what_cannot_be_stored(connection: Connection) -> None:
    assert stored(connection, CleanText(), "日本 \U0001f600\n\ud800|\0") == "日本 \U0001f600\n\ufffd|\ufffd"
