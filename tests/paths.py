"""Where things of the project are, whatever folder a test lies in."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
