"""The folder of an export: only an earlier export in it is replaced, and never by half of another."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engines.core.errors import UserError
from tuner.bundles.base import EVIDENCE
from tuner.documents.base import dump

_STAGING = ".unfinished-"


def check_folder(folder: Path) -> frozenset[str]:
    """Make sure that an export can be written there, and return the files of an earlier one.

    Raises UserError.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        # a staging folder is what a killed export left, or another one that is at work
        is_empty = all(path.name.startswith(_STAGING) for path in folder.iterdir())
        return frozenset() if is_empty else _exported_files(folder)
    except OSError as error:
        raise _cannot_write(folder, error, "Choose another folder.") from error


def fill(
    folder: Path,
    write: Callable[[Path], None],
    evidence: Callable[[Mapping[str, Any]], Any],
) -> None:
    """Replace an earlier export in the folder by the files that `write` writes and their evidence.

    `evidence` returns the document for the size and digest of each file by its name. Raises UserError where
    the folder contains other files or cannot be written; an earlier export is then as it was.
    """
    earlier = check_folder(folder)
    try:
        with _staging(folder) as staging:
            write(staging)
            files = {file.name: _digest(file) for file in sorted(staging.iterdir())}
            (staging / EVIDENCE).write_text(dump(evidence(files)), encoding="utf-8")
            for name in [*files, EVIDENCE]:
                (staging / name).replace(folder / name)
        for name in earlier - files.keys():
            (folder / name).unlink(missing_ok=True)
    except OSError as error:
        hint = "Everything finished is saved: fix that, and try again."
        raise _cannot_write(folder, error, hint) from error


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder inside, from which files are moved by renaming."""
    staging = Path(tempfile.mkdtemp(prefix=f"{_STAGING}{os.getpid()}-", dir=folder))
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _exported_files(folder: Path) -> frozenset[str]:
    try:
        files = json.loads((folder / EVIDENCE).read_bytes())["files"]
        return frozenset(name for name in files if name == Path(name).name)
    except (FileNotFoundError, IsADirectoryError, ValueError, TypeError, KeyError) as error:
        raise UserError(
            f"{str(folder)!r} contains files that are not an export", "Choose another folder."
        ) from error


def _digest(file: Path) -> dict[str, Any]:
    with file.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    return {"bytes": file.stat().st_size, "sha256": sha256}


def _cannot_write(folder: Path, error: OSError, hint: str) -> UserError:
    return UserError(f"cannot write to the folder {str(folder)!r}: {error.strerror or error}", hint)
