"""The command `tuner`: finds the subcommand, turns what goes wrong into one line and an exit code."""

import difflib
import errno
import os
import signal
import sys
from typing import NoReturn

import click
from click.exceptions import Exit
from click.shell_completion import shell_complete

from tuner import __version__
from tuner.packages import foreign_package
from tuner.terminal import streams

FOUND, INTERNAL, WRONG_USE, NOTHING_FEASIBLE, INTERRUPTED = 0, 1, 2, 3, 130

# name -> (module, what it does); the module is imported when the subcommand is used
COMMANDS = {
    "search": (
        "tuner.commands.search",
        "Find the fastest engine for a model that still gives the right answers.",
    ),
    "record": (
        "tuner.commands.record",
        "Measure a whole space, and write it as a landscape that can be replayed.",
    ),
    "studies": ("tuner.commands.studies", "List the studies."),
    "show": ("tuner.commands.show", "Show a study's trials, or one of them, as a table, JSON or CSV."),
    "dashboard": ("tuner.commands.dashboard", "Write a study's report, one HTML file that opens offline."),
    "export": ("tuner.commands.export", "Export a trial's engine with its evidence."),
    "measure": (
        "tuner.commands.measure",
        "Measure one engine by itself, as a search does or as trtexec does.",
    ),
    "doctor": (
        "tuner.commands.doctor",
        "Report what makes this machine noisy, and the smallest difference that it can detect.",
    ),
    "sensitivity": (
        "tuner.commands.sensitivity",
        "Rank the nodes of a model by how much they hurt when they are lowered.",
    ),
    "compare": ("tuner.commands.compare", "Compare the outputs of two models, engines, trials or files."),
    "bisect": ("tuner.commands.bisect", "Find the nodes that must stay in FP32 for a trial to be right."),
    "completion": ("tuner.commands.completion", "Print the script that completes commands in a shell."),
}
ABOUT = """Find the fastest inference engine for an ONNX model that still gives the right answers.

\b
tuner search model.onnx --trials 50
"""
COMPLETION = "_TUNER_COMPLETE"
# what the machine refuses, and the user can fix; anything else is a mistake of ours and shows its traceback
REFUSED = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EFBIG,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.EIO,
    errno.EMFILE,
    errno.ENFILE,
)


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

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name in COMMANDS or name.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        near = difflib.get_close_matches(name, COMMANDS, 1)
        guess = f"; did you mean {near[0]!r}?" if near else ""
        raise click.UsageError(f"there is no command {name!r}{guess}", ctx)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, about) in COMMANDS.items()])


@click.group(cls=LazyGroup, help=ABOUT, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tuner", message="%(prog)s %(version)s")
def tuner() -> None:
    pass


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command and exits with its code."""
    streams.prepare()
    foreign = foreign_package()
    if foreign is not None:
        sys.exit(_complain(foreign, WRONG_USE))
    instruction = os.environ.get(COMPLETION)
    if instruction:
        sys.exit(shell_complete(tuner, {}, "tuner", COMPLETION, instruction))
    code = _run(sys.argv[1:] if arguments is None else arguments)
    if arguments is None:
        # one Ctrl-C more, while Python ends, would turn the code into that of a crash
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(code)


def _run(arguments: list[str]) -> int:
    from engines.core.errors import Interrupted, TunerError, UserError

    try:
        return _invoke(arguments)
    except click.ClickException as error:
        return _usage(error)
    except KeyboardInterrupt:
        return _complain("interrupted", INTERRUPTED)
    except TunerError as error:
        codes = {UserError: WRONG_USE, Interrupted: INTERRUPTED}
        code = next((code for kind, code in codes.items() if isinstance(error, kind)), INTERNAL)
        return _complain(_sentences(error.message, error.hint), code)
    except OSError as error:
        return _refused(error)


def _invoke(arguments: list[str]) -> int:
    try:
        with tuner.make_context("tuner", list(arguments)) as context:
            code = tuner.invoke(context)
    except Exit as ended:
        code = ended.exit_code
    sys.stdout.flush()
    return code if isinstance(code, int) else FOUND


def _refused(error: OSError) -> int:
    if isinstance(error, BrokenPipeError):
        # whoever read our output has seen enough
        streams.discard(sys.stdout)
        return FOUND
    if error.errno not in REFUSED:
        raise error
    streams.discard(sys.stdout)
    message = f"cannot use {str(error.filename)!r}" if error.filename else "cannot write"
    hint = "Nothing that was finished is lost: fix that, then run the same command again."
    return _complain(_sentences(f"{message}: {error.strerror}", hint), WRONG_USE)


def _usage(error: click.ClickException) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        streams.say(error.format_message())
        return WRONG_USE
    message = error.format_message()
    if isinstance(error, click.NoSuchOption):
        guess = f"; did you mean {error.possibilities[0]!r}?" if error.possibilities else ""
        message = f"there is no option {error.option_name!r}{guess}"
    context = error.ctx if isinstance(error, click.UsageError) else None
    hint = f"See '{context.command_path if context else 'tuner'} --help'."
    return _complain(_sentences(message[:1].lower() + message[1:], hint), WRONG_USE)


def _sentences(message: str, hint: str) -> str:
    """Return message and hint as one line."""
    message = message.rstrip().rstrip(".")
    end = "" if not hint else " " if message.endswith(("?", "!")) else ". "
    return f"{message}{end}{hint}"


def _complain(message: str, code: int) -> int:
    error = click.style("error:", fg="red", bold=True) if streams.has_color() else "error:"
    streams.say(f"{error} {' '.join(message.split())}")
    return code
