"""The command `tuner`: finds the subcommand, turns what goes wrong into one line and an exit code."""

import sys
from typing import Any

import click

from engines.errors import Interrupted, TunerError, UserError
from tuner import __version__
from tuner.packages import check_packages

FOUND, INTERNAL, WRONG_USE, NOTHING_FEASIBLE, INTERRUPTED = 0, 1, 2, 3, 130

# name -> (module, what it does); the module is imported when the subcommand is used
COMMANDS = {
    "search": (
        "tuner.commands.search",
        "Find the fastest engine for a model that still gives the right answers.",
    ),
    "studies": ("tuner.commands.studies", "List the studies."),
    "show": ("tuner.commands.show", "Show a study's trials, or one of them, as a table, JSON or CSV."),
    "dashboard": ("tuner.commands.dashboard", "Write a study's report, one HTML file that opens offline."),
    "export": ("tuner.commands.export", "Hand over a trial's engine with its evidence."),
    "completion": ("tuner.commands.completion", "Print the script that completes commands in a shell."),
}


class LazyGroup(click.Group):
    """A group whose subcommands are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        import importlib

        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tuner", message="%(prog)s %(version)s")
def tuner() -> None:
    r"""Find the fastest inference engine for an ONNX model that still gives the right answers.

    \b
    tuner search model.onnx --trials 50
    """


def main(arguments: list[str] | None = None) -> Any:
    """Runs the command and exits with its code."""
    try:
        check_packages()
        code = tuner.main(arguments, prog_name="tuner", standalone_mode=False)
    except click.ClickException as error:
        code = _complain(_usage(error), WRONG_USE)
    except UserError as error:
        code = _complain(str(error), WRONG_USE)
    except (Interrupted, KeyboardInterrupt, click.Abort):
        code = _complain("interrupted", INTERRUPTED)
    except BrokenPipeError:
        # whoever read our output has seen enough
        sys.stderr.close()
        code = FOUND
    except TunerError as error:
        code = _complain(str(error), INTERNAL)
    sys.exit(code if isinstance(code, int) else FOUND)


def _usage(error: click.ClickException) -> str:
    message = error.format_message().rstrip(".")
    if isinstance(error, click.UsageError) and error.ctx is not None:
        return f"{message}. See '{error.ctx.command_path} --help'."
    return message


def _complain(message: str, code: int) -> int:
    line = " ".join(message.split())
    print(
        f"{click.style('error:', fg='red', bold=True) if sys.stderr.isatty() else 'error:'} {line}",
        file=sys.stderr,
    )
    return code
