"""Check that a file named by the user can be read, before it is opened."""

import stat
from pathlib import Path

from engines.core.errors import UserError


def require_file(path: Path, hint: str = "Check the path.", of_a_folder: str = "Name one file.") -> None:
    """Raise UserError if the path is not a regular file; opening a pipe would wait for its writer.

    `hint` is shown if nothing is there, `of_a_folder` if it is a folder.
    """
    if "\0" in str(path):
        raise UserError(f"a file name cannot contain a zero byte: {str(path)!r}", hint)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise UserError(f"no such file: {str(path)!r}", hint) from error
    except OSError as error:
        raise unreadable(path, error) from error
    if stat.S_ISDIR(mode):
        raise UserError(f"{str(path)!r} is a folder", of_a_folder)
    if not stat.S_ISREG(mode):
        raise UserError(f"{str(path)!r} is not a regular file", "Save its data to a file, and give that.")


def unreadable(path: Path, error: OSError) -> UserError:
    """Return the error to raise for an existing file that cannot be read."""
    reason = error.strerror or type(error).__name__
    return UserError(f"cannot read {str(path)!r}: {reason}", "Check the path and its permissions.")
