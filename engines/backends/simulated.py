"""How often engines were opened in a folder, by any process: what gives each opening samples of its own."""

import os
from pathlib import Path


def count_opening(file: Path) -> int:
    """How many came before; each leaves a byte in the file."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        os.write(descriptor, b".")
        return os.lseek(descriptor, 0, os.SEEK_CUR) - 1
    finally:
        os.close(descriptor)
