"""Convert database errors from SQLAlchemy to UserError, with the database's message and a hint.

Errors that a user cannot fix (a statement that is wrong, a violated rule) pass through.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from engines.core.errors import UserError

LOCK_SECONDS = 60

_AGAIN = "then run the same command again. Everything finished is saved."
_FILE = "Name a file in a folder that exists, and see that both may be read and written."
_SERVER = "Check that the server runs and that user, password and database are right."

# by SQLite's name of an error, or PostgreSQL's SQLSTATE
_HINTS: Mapping[str, str] = {
    "SQLITE_CANTOPEN": _FILE,
    "SQLITE_PERM": _FILE,
    "SQLITE_READONLY": _FILE,
    "SQLITE_BUSY": f"End the program that has the file open, {_AGAIN}",
    "SQLITE_NOTADB": "Name another file, or move this one away.",
    "SQLITE_CORRUPT": (
        "Restore it from a copy, or save what can be read: sqlite3 '{place}' .recover | sqlite3 saved.db"
    ),
    "SQLITE_FULL": f"Free some space, {_AGAIN}",
    "SQLITE_IOERR": f"Check the disk and the space left on it, {_AGAIN}",
    "25006": "Name a server that can be written to.",
    "42501": "Let the database's owner grant CREATE and USAGE on its schema, or name another database.",
    "53100": f"Free some space, {_AGAIN}",
}


@contextmanager
def translated(url: URL, also: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Convert database errors inside the block to UserError.

    `also` are the errors of others that wrap one, such as optuna.exceptions.StorageInternalError.
    """
    caught: tuple[type[Exception], ...] = (DBAPIError, *also)
    try:
        yield
    except caught as error:
        database_error = _database_error(error)
        hint = _hint(database_error) if database_error else None
        if database_error is None or hint is None:
            raise
        place, detail = location(url), _without_passwords(str(database_error.orig), url)
        message = f"the storage {place} cannot be used: {detail}"
        raise UserError(message, hint.format(place=place)) from error


def location(url: URL) -> str:
    """Return the database's name for messages: a path, or a URL without its password and options."""
    if url.get_backend_name() == "sqlite":
        return str(url.database).removeprefix("file:")
    host = url.host or url.query.get("host", "")
    user = f"{url.username}@" if url.username else ""
    port = f":{url.port}" if url.port else ""
    return f"postgresql://{user}{host}{port}/{url.database or ''}"


def is_duplicate(error: IntegrityError) -> bool:
    """Return whether the row was refused because its name is taken."""
    return _code(error) in ("SQLITE_CONSTRAINT_UNIQUE", "23505")


def _database_error(error: BaseException | None) -> DBAPIError | None:
    while error is not None and not isinstance(error, DBAPIError):
        error = error.__cause__
    return error


def _code(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlite_errorname", None) or getattr(error.orig, "sqlstate", None) or ""


def _hint(error: DBAPIError) -> str | None:
    """Return what the user can do about it; None if nothing."""
    # SQLite's extended names, such as SQLITE_READONLY_DIRECTORY, begin with the name of their kind
    known = _HINTS.get("_".join(_code(error).split("_")[:2]))
    if known is not None:
        return known
    # an error without a statement means that the URL's options were refused
    if isinstance(error.orig, sqlite3.Error):
        return _FILE if error.statement is None else None
    return _SERVER if error.statement is None or isinstance(error, OperationalError) else None


def _without_passwords(detail: str, url: URL) -> str:
    line = " ".join(detail.split()).rstrip(".")
    for secret in (url.password, url.query.get("password"), url.query.get("sslpassword")):
        if secret:
            line = line.replace(str(secret), "***")
    return line
