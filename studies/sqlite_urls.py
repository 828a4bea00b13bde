"""Which SQLite file a URL names, and what may be asked of it behind the question mark.

An option that nobody would heed is refused: SQLAlchemy and SQLite pass over those that they do not know.
"""

import math
from pathlib import Path

from sqlalchemy import URL
from sqlalchemy.util import asbool

from engines.errors import UserError

FORMS = "Write a path, sqlite:///path or postgresql://user@host/database."
_URI_FORM = "Write sqlite:///file:PATH?mode=ro&uri=true."
# https://www.sqlite.org/uri.html, as far as it makes sense for a storage
_URI_OPTIONS = ("mode", "immutable", "nolock", "cache", "psow", "vfs")
# those of Python's sqlite3 that SQLAlchemy hands on, and those that are chosen here
_OPTIONS = ("timeout", "uri", "check_same_thread", "cached_statements")
_OURS = ("isolation_level", "detect_types", "factory")
_MODES = ("ro", "rw", "rwc")


def sqlite_file(url: URL) -> URL:
    """The URL with its path made absolute; raises UserError for what is no file or cannot be done."""
    if url.host is not None:
        raise UserError(f"sqlite://{url.host} names a server, not a file", FORMS)
    name = url.database or ""
    if name.removeprefix("file:") in ("", ":memory:") or url.query.get("mode") == "memory":
        raise UserError("a storage in memory would be lost at the end", FORMS)
    _check_options(url, name)
    if name.startswith("file:"):  # sqlite's own URI, which sqlite resolves
        return url
    return url.set(database=str(Path(name).expanduser().absolute()))


def _check_options(url: URL, name: str) -> None:
    is_uri = _is_uri(url)
    if is_uri != name.startswith("file:"):
        raise UserError("a SQLite path with file: needs uri=true, and uri=true needs file:", _URI_FORM)
    for option, value in url.query.items():
        if option in _OURS:
            raise UserError(f"the option {option!r} of a storage URL cannot be chosen", "Leave it out.")
        if option not in (*_OPTIONS, *(_URI_OPTIONS if is_uri else ())):
            hint = _URI_FORM if option in _URI_OPTIONS else "Leave it out."
            raise UserError(f"the storage URL has an option {option!r} that would be ignored", hint)
        if not _is_sound(option, value):
            raise UserError(f"the storage URL cannot have {option}={value}", "Leave it out, or mend it.")


def _is_uri(url: URL) -> bool:
    try:
        return asbool(url.query.get("uri", False))
    except ValueError as error:
        raise UserError("uri= in the storage URL is neither true nor false", _URI_FORM) from error


def _is_sound(option: str, value: str | tuple[str, ...]) -> bool:
    if not isinstance(value, str):  # it is given twice
        return False
    if option == "mode":
        return value in _MODES
    return option != "timeout" or _is_time(value)


def _is_time(value: str) -> bool:
    try:
        return 0 <= float(value) < math.inf
    except ValueError:
        return False
