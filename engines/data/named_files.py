"""Files that a user names to be read: whether they can be is told before they are opened."""

import stat
from pathlib import Path

from engines.core.errors import UserError


def require_file(path: Path, hint: str = "Check the path.", of_a_folder: str = "Name one file.") -> None:
    """Raises UserError for what is no regular file; to open a pipe is to wait for whoever writes to it.

    `hint` is what to do where nothing is there, `of_a_folder` where it is a folder.
    """
    if "\0" in str(path):
        raise UserError(f"no file has a zero byte in its name: {str(path)!r}", hint)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError as error:
        raise UserError(f"no such file: {str(path)!r}", hint) from error
    except OSError as error:
        raise unreadable(path, error) from error
    if stat.S_ISDIR(mode):
        raise UserError(f"{str(path)!r} is a folder", of_a_folder)
    if not stat.S_ISREG(mode):
        raise UserError(f"{str(path)!r} is no regular file", "Save what it gives to a file, and name that.")


def unreadable(path: Path, error: OSError) -> UserError:
    """The error to raise for a file that is there and cannot be read."""
    reason = error.strerror or type(error).__name__
    return UserError(f"cannot read {str(path)!r}: {reason}", "Check the path and its permissions.")
