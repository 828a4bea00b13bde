"""The workspace: a folder of files, graphs, engines, caches, logs and reports.

Everything is written under a temporary name and renamed when complete, so a file that exists is complete, and
two searches in one workspace at worst make the same thing twice.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from engines.core.errors import UserError

FOLDERS = ("graphs", "engines", "files", "caches", "logs", "reports")
_UNFINISHED = ".unfinished-"


@dataclass(frozen=True)
class Workspace:
    """The paths of one workspace; `create` makes them."""

    root: Path

    @property
    def graphs(self) -> Path:
        return self.root / "graphs"

    @property
    def engines(self) -> Path:
        return self.root / "engines"

    @property
    def files(self) -> Path:
        """What the studies were given, such as their models."""
        return self.root / "files"

    @property
    def caches(self) -> Path:
        return self.root / "caches"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    @property
    def database(self) -> Path:
        return self.root / "studies.db"

    def create(self) -> "Workspace":
        """Make the folders and remove unfinished files of dead processes; raises UserError if it cannot."""
        try:
            for name in FOLDERS:
                folder = self.root / name
                folder.mkdir(parents=True, exist_ok=True)
                _clear_unfinished(folder)
            _clear_empty_logs(self.logs)
            with tempfile.TemporaryFile(dir=self.root):
                pass
        except OSError as error:
            raise UserError(
                f"cannot write to the workspace {self.root}: {error.strerror}",
                "Choose another folder with --workspace DIR.",
            ) from error
        return self


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Yield a folder that is renamed to `target` at the end of the block, or removed after an error."""
    folder = Path(tempfile.mkdtemp(prefix=f"{_UNFINISHED}{os.getpid()}-", dir=target.parent))
    try:
        yield folder
        folder.chmod(0o777 & ~_umask())
        try:
            folder.rename(target)
        except OSError:
            if not target.is_dir():
                raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """Yield a folder that is removed at the end of the block, or, after a crash, by the next process."""
    with tempfile.TemporaryDirectory(prefix=f"{_UNFINISHED}{os.getpid()}-", dir=parent) as name:
        yield Path(name)


def write_file(target: Path, content: bytes) -> None:
    """Write a file atomically."""
    handle, name = tempfile.mkstemp(prefix=f"{_UNFINISHED}{os.getpid()}-", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).chmod(0o666 & ~_umask())
        Path(name).replace(target)
    finally:
        Path(name).unlink(missing_ok=True)


def folder_bytes(folder: Path) -> int:
    """Return the size of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _clear_unfinished(folder: Path) -> None:
    for path in folder.glob(f"{_UNFINISHED}*"):
        owner = path.name.removeprefix(_UNFINISHED).partition("-")[0]
        if owner.isdigit() and _is_running(int(owner)):
            continue
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _clear_empty_logs(folder: Path) -> None:
    """Remove empty logs of killed workers; others may explain what happened."""
    for path in folder.glob("worker-*.log"):
        owner = path.stem.split("-")[1]
        if owner.isdigit() and path.stat().st_size == 0 and not _is_running(int(owner)):
            path.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    if _is_zombie(process):
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _is_zombie(process: int) -> bool:
    """Return whether the process is a zombie; False if the system does not report it."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    # the name, in parentheses, may hold anything
    return status.rpartition(")")[2].split()[:1] == ["Z"]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
