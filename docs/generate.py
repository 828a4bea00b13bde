"""Writes docs/commands.md from the commands themselves: `python docs/generate.py`.

With --check nothing is written, and the exit code is 1 when the page is not what would be.
"""

import argparse
import sys
from pathlib import Path

import click

from tuner.cli import COMMANDS, tuner

PAGE = Path(__file__).parent / "commands.md"
WIDTH = 100
BEGINNING = """# Commands

What each command prints with `--help`. This page is made by `python docs/generate.py`.
"""


def page() -> str:
    """The page as it should be."""
    context = click.Context(tuner, info_name="tuner", terminal_width=WIDTH, **tuner.context_settings)
    parts = [BEGINNING, _section(tuner, context)]
    for name in COMMANDS:
        command = tuner.get_command(context, name)
        assert command is not None
        parts.append(_section(command, click.Context(command, info_name=name, parent=context)))
    return "\n".join(parts)


def _section(command: click.Command, context: click.Context) -> str:
    return f"## {context.command_path}\n\n```\n{command.get_help(context)}\n```\n"


def main() -> None:
    """Writes or checks the page."""
    parser = argparse.ArgumentParser(description="Writes docs/commands.md from the commands themselves.")
    parser.add_argument("--check", action="store_true", help="only say whether the page is up to date")
    text = page()
    if not parser.parse_args().check:
        PAGE.write_text(text, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
        sys.exit(f"{PAGE.name} is not up to date: run python docs/generate.py")


if __name__ == "__main__":
    main()
