"""Trouble with the database, in the user's words: what SQLAlchemy raises comes out as UserError.

What a user cannot mend (a statement that is wrong, a row that breaks a rule) is let through.
"""

import sqlite3
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from engines.core.errors import UserError

LOCK_SECONDS = 60

_SAVED = "Everything finished is saved."
_AGAIN = "run the same command again"


@contextmanager
def translated(url: URL, also: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Turns database errors inside the block into UserError.

    `also` are the errors of others that wrap one, such as optuna.exceptions.StorageInternalError.
    """
    caught: tuple[type[Exception], ...] = (DBAPIError, *also)
    try:
        yield
    except caught as error:
        database_error = _database_error(error)
        trouble = _trouble(database_error, url) if database_error else None
        if trouble is None:
            raise
        raise UserError(*trouble) from error


def location(url: URL) -> str:
    """The database's name for messages: a path, or a URL without its password and options."""
    if url.get_backend_name() == "sqlite":
        return str(url.database).removeprefix("file:")
    host = url.host or url.query.get("host", "")
    user = f"{url.username}@" if url.username else ""
    port = f":{url.port}" if url.port else ""
    return f"postgresql://{user}{host}{port}/{url.database or ''}"


def is_duplicate(error: IntegrityError) -> bool:
    """Whether the row was refused because there is one of its name."""
    code = getattr(error.orig, "sqlite_errorname", None) or getattr(error.orig, "sqlstate", None)
    return code in ("SQLITE_CONSTRAINT_UNIQUE", "23505")


def _database_error(error: BaseException | None) -> DBAPIError | None:
    while error is not None and not isinstance(error, DBAPIError):
        error = error.__cause__
    return error


def _trouble(error: DBAPIError, url: URL) -> tuple[str, str] | None:
    if isinstance(error.orig, sqlite3.Error):
        return _sqlite_trouble(error.orig, url)
    return _postgresql_trouble(error, url)


def _sqlite_trouble(error: sqlite3.Error, url: URL) -> tuple[str, str] | None:
    # extended names, such as SQLITE_READONLY_DIRECTORY, begin with the name of their kind
    kind = "_".join(getattr(error, "sqlite_errorname", "").split("_")[:2])
    place = location(url)
    if kind == "SQLITE_CANTOPEN":
        return _why_not_opened(Path(place))
    if kind not in _SQLITE:
        return None
    message, hint = _SQLITE[kind]
    timeout = url.query.get("timeout", LOCK_SECONDS)
    return message.format(place=place, detail=error, timeout=timeout), hint.format(place=place)


_SQLITE: Mapping[str, tuple[str, str]] = {
    "SQLITE_READONLY": (
        "the storage {place} is read-only",
        "Make the file and its folder writable, or name another storage.",
    ),
    "SQLITE_PERM": (
        "the storage {place} may not be opened",
        "Make the file and its folder writable, or name another storage.",
    ),
    "SQLITE_BUSY": (
        "the storage {place} has been locked by another process for {timeout} seconds",
        f"End the program that has the file open, then {_AGAIN}. {_SAVED}",
    ),
    "SQLITE_NOTADB": (
        "the storage {place} is not a SQLite database",
        "Name another file, or move this one away.",
    ),
    "SQLITE_CORRUPT": (
        "the storage {place} is damaged ({detail})",
        "Restore it from a copy, or save what can be read: sqlite3 '{place}' .recover | sqlite3 saved.db",
    ),
    "SQLITE_FULL": (
        "no space is left for the storage {place}",
        f"{_SAVED} Free some space, then {_AGAIN}.",
    ),
    "SQLITE_IOERR": (
        "the storage {place} cannot be read or written ({detail})",
        f"{_SAVED} Check the disk and the space left on it, then {_AGAIN}.",
    ),
}


def _why_not_opened(path: Path) -> tuple[str, str]:
    try:
        if not stat.S_ISDIR(path.parent.stat().st_mode):
            return f"{path.parent} is a file, not the folder of a storage", "Name another storage."
        if path.is_dir():
            return f"the storage {path} is a folder", f"Name a file in it, such as {path / 'studies.db'}."
    except (FileNotFoundError, NotADirectoryError):
        return f"the folder {path.parent} of the storage does not exist", "Make it, or name another storage."
    except OSError as error:
        return f"the storage {path} cannot be opened ({error.strerror})", "Name another storage."
    return (
        f"the storage {path} cannot be opened",
        "Make the file and its folder readable and writable, or name another storage.",
    )


_POSTGRESQL: Mapping[str, tuple[str, str]] = {
    "25006": ("the storage {place} is read-only", "Name a server that can be written to."),
    "42501": (
        "the user of the storage {place} lacks a permission ({detail})",
        "Let the database's owner grant CREATE and USAGE on its schema, or name another database.",
    ),
    "53100": ("no space is left for the storage {place}", f"{_SAVED} Free some space, then {_AGAIN}."),
}


def _postgresql_trouble(error: DBAPIError, url: URL) -> tuple[str, str] | None:
    code = getattr(error.orig, "sqlstate", None) or ""
    place, detail = location(url), _without_passwords(str(error.orig), url)
    if code in _POSTGRESQL:
        message, hint = _POSTGRESQL[code]
        return message.format(place=place, detail=detail), hint
    # without a statement, it is the URL's options that psycopg refused
    if isinstance(error, OperationalError) or error.statement is None:
        return (
            f"the storage {place} cannot be used: {detail}",
            "Check that the server runs and that user, password and database are right.",
        )
    return None


def _without_passwords(detail: str, url: URL) -> str:
    line = " ".join(detail.split()).rstrip(".")
    for secret in (url.password, url.query.get("password"), url.query.get("sslpassword")):
        if secret:
            line = line.replace(str(secret), "***")
    return line
