"""Open the database of a storage: a SQLite file or a PostgreSQL server, named by a URL.

This module knows no tables. Errors that a user can fix become UserError (see `studies.storage.errors`).
"""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, OperationalError

from engines.core.errors import UserError
from studies.storage.errors import LOCK_SECONDS, location, translated

__all__ = ["engine_options", "location", "open_engine", "parse_url", "reading", "writing"]

_WRITES = "tuner_writes"


def parse_url(storage: str) -> URL:
    """Return the database of a path or a URL, its path made absolute; raises UserError for any other kind."""
    if not storage.strip():
        raise UserError("the storage has an empty name", FORMS)
    if "\0" in storage or storage != storage.encode(errors="replace").decode():
        raise UserError("the storage's name has a zero byte, or is not text in UTF-8", "Choose another.")
    if "://" not in storage:
        return _sqlite_file(URL.create("sqlite", database=storage))
    # the message does not repeat the text, which may contain a password
    kind = storage.partition("://")[0]
    try:
        url = make_url(storage)
    except (ArgumentError, ValueError) as error:
        raise UserError(f"the storage URL that begins with {kind}:// cannot be read", FORMS) from error
    if kind in ("sqlite", "sqlite+pysqlite"):
        return _sqlite_file(url)
    if kind in ("postgresql", "postgres", "postgresql+psycopg"):
        return url.set(drivername="postgresql+psycopg")
    raise UserError(f"studies cannot be stored in {kind}://", FORMS)


def engine_options(url: URL) -> dict[str, Any]:
    """Return the arguments of SQLAlchemy's create_engine, for our tables and for Optuna's alike."""
    if url.get_backend_name() == "sqlite":
        # a timeout in the URL is the user's own and goes before ours
        timeout = {} if "timeout" in url.query else {"timeout": LOCK_SECONDS}
        return {"connect_args": {"factory": _SqliteConnection, **timeout}}
    patience = {} if "connect_timeout" in url.query else {"connect_timeout": 10}
    # servers and firewalls close connections that idle through a long build
    return {"connect_args": patience, "pool_pre_ping": True}


def open_engine(url: URL) -> Engine:
    """Return the engine of a database, not yet connected; raises UserError if its driver is not installed."""
    try:
        engine = create_engine(url, **engine_options(url))
    except ImportError as error:
        hint = "Run: pip install 'trt-tuner[postgresql]'."
        raise UserError("storing in PostgreSQL needs the package psycopg", hint) from error
    except (TypeError, ValueError) as error:
        raise UserError(f"an option of the storage URL cannot be used ({error})", "Leave it out.") from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "begin", _begin_on_sqlite)
    return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that only reads."""
    with translated(engine.url), engine.begin() as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """A transaction that writes, committed at the end of the block and undone by an exception."""
    with translated(engine.url), engine.connect() as connection:
        connection.execution_options(**{_WRITES: True})
        with connection.begin():
            yield connection


class _SqliteConnection(sqlite3.Connection):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        try:
            self.execute("PRAGMA foreign_keys = ON")
            # with a write-ahead log this may lose the last trials to a power cut, never the database
            self.execute("PRAGMA synchronous = NORMAL")
        except sqlite3.Error:
            self.close()
            raise


def _begin_on_sqlite(connection: Connection) -> None:
    # sqlite3 by itself would begin late and never around CREATE TABLE; and a plain BEGIN that writes later
    # fails at once, whatever the timeout, when another wrote in between
    if not connection.get_execution_options().get(_WRITES, False):
        connection.exec_driver_sql("BEGIN")
        return
    # which writes into the file, so that one that is only read is left as it was
    _keep_a_write_ahead_log(connection)
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _keep_a_write_ahead_log(connection: Connection) -> None:
    deadline = time.monotonic() + float(str(connection.engine.url.query.get("timeout", LOCK_SECONDS)))
    while True:
        try:
            connection.exec_driver_sql("PRAGMA journal_mode = WAL")
            return
        except OperationalError as error:
            # SQLite does not wait here while another makes the file, whatever its timeout
            name = getattr(error.orig, "sqlite_errorname", "")
            if not name.startswith("SQLITE_BUSY") or time.monotonic() > deadline:
                raise
        time.sleep(0.005)


FORMS = "Write a path, sqlite:///path or postgresql://user@host/database."
# options that SQLAlchemy passes on for a plain path, without those set here; it ignores all others silently
_OPTIONS = ("timeout", "check_same_thread", "cached_statements")


def _sqlite_file(url: URL) -> URL:
    """Return the URL with its path made absolute; raises UserError if it is not a file or has an option that
    would be ignored.
    """
    if url.host is not None:
        raise UserError(f"sqlite://{url.host} names a server, not a file", FORMS)
    name = url.database or ""
    if name.removeprefix("file:") in ("", ":memory:") or url.query.get("mode") == "memory":
        raise UserError("a storage in memory would be lost at the end", FORMS)
    if name.startswith("file:"):  # sqlite's own URI, whose options are sqlite's
        return url.update_query_dict({"uri": "true"})
    for option in url.query:
        if option not in _OPTIONS:
            raise UserError(
                f"the storage URL has an option {option!r} that would be ignored",
                "Leave it out, or write sqlite:///file:PATH?mode=ro for one of SQLite's own.",
            )
    return url.set(database=str(Path(name).expanduser().absolute()))
