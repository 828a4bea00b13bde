"""Writes docs/commands.md, docs/json.md and the list of options in tuner.search's docstring.

`python docs/generate.py` makes them from the options and documents themselves. With --check nothing is
written, and the exit code is 1 when one of them is not what would be.
"""

import argparse
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import MISSING
from pathlib import Path

import click
from json_page import json_page

import tuner.api
from studies.core.options import Units
from tuner.api import OPTIONS
from tuner.cli import COMMANDS
from tuner.cli import tuner as command
from tuner.options.fields import Option

PAGE = Path(__file__).parent / "commands.md"
JSON = Path(__file__).parent / "json.md"
API = Path(tuner.api.__file__)
WIDTH = 100
DOCSTRING_WIDTH = 110
LIST_BEGINS, LIST_ENDS = "    Options:\n", '    """\n'
UNITS = {
    "seconds": " Seconds, or text such as '30m'.",
    "share": " A share such as 0.01, or text such as '1%'.",
}
BEGINNING = """# Commands

What each command prints with `--help`. This page is made by `python docs/generate.py`.
"""


def page() -> str:
    """The page as it should be."""
    context = click.Context(command, info_name="tuner", terminal_width=WIDTH, **command.context_settings)
    parts = [BEGINNING, _section(command, context)]
    for name in COMMANDS:
        one = command.get_command(context, name)
        assert one is not None
        parts.append(_section(one, click.Context(one, info_name=name, parent=context)))
    return "\n".join(parts)


def _section(one: click.Command, context: click.Context) -> str:
    return f"## {context.command_path}\n\n```\n{one.get_help(context)}\n```\n"


def api() -> str:
    """tuner/api.py with the list of options as it should be."""
    source = API.read_text(encoding="utf-8")
    before, after = source.split(LIST_BEGINS, 1)
    _, rest = after.split(LIST_ENDS, 1)
    return before + LIST_BEGINS + "".join(_option_lines()) + LIST_ENDS + rest


def _option_lines() -> Iterator[str]:
    for name, one in OPTIONS.items():
        if name != "model":
            yield (
                textwrap.fill(
                    f"{name}: {one.help.text}{_unit(one)}{_default(one)}",
                    DOCSTRING_WIDTH,
                    initial_indent=" " * 8,
                    subsequent_indent=" " * 12,
                    break_on_hyphens=False,
                )
                + "\n"
            )


def _unit(one: Option) -> str:
    unit = one.mark(Units)
    return UNITS[unit.name] if unit is not None else ""


def _default(one: Option) -> str:
    if one.help.default:
        return f" Default: {one.help.default}."
    known = one.default is not MISSING and one.default not in (None, ())
    return (
        f" Default: {str(one.default) if isinstance(one.default, Path) else repr(one.default)}."
        if known
        else ""
    )


def main() -> None:
    """Writes or checks all of them."""
    parser = argparse.ArgumentParser(description="Writes what is made from the code itself.")
    parser.add_argument("--check", action="store_true", help="only say whether they are up to date")
    is_check = parser.parse_args().check
    for path, text in ((PAGE, page()), (JSON, json_page()), (API, api())):
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        if is_check:
            sys.exit(f"{path.name} is not up to date: run python docs/generate.py")
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
