"""Copies of files that cost as little as the file system allows."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from engines.core.values import Value

# what is larger shares its bytes with the original; a study makes graphs and engines of its model's size
MOST_COPIED_BYTES = 1 << 30
# linux/fs.h: the new file shares the blocks of the old one until one of them is written to
_FICLONE = 0x40049409


def keep_together(files: Mapping[str, Path], folder: Path) -> Mapping[str, Value]:
    """Puts the files into a folder under their names, which may be paths below it; gives no facts.

    Blocks are shared where the file system can do so. Where it cannot, up to MOST_COPIED_BYTES are copied, so
    that writing to an original does not change what is kept; larger files are hard links, which deleting or
    moving the original does not change, and copies only on another file system.
    """
    total = sum(path.stat().st_size for path in files.values())
    for name, path in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not (_shares_blocks(path, target) or (total > MOST_COPIED_BYTES and _is_linked(path, target))):
            shutil.copyfile(path, target)
    return {}


def _shares_blocks(source: Path, target: Path) -> bool:
    with source.open("rb") as old, target.open("xb") as new, contextlib.suppress(OSError):
        fcntl.ioctl(new.fileno(), _FICLONE, old.fileno())
        return True
    target.unlink()
    return False


def _is_linked(source: Path, target: Path) -> bool:
    """Whether a hard link could be made: not on another file system, nor of a stranger's file."""
    with contextlib.suppress(OSError):
        os.link(source.resolve(), target)
        return True
    return False
