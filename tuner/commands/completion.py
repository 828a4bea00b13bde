"""`tuner completion`."""

import click
from click.shell_completion import get_completion_class


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(*, shell: str) -> None:
    r"""Print the script that completes tuner's commands in SHELL.

    \b
    eval "$(tuner completion bash)"
    """
    from tuner.cli import tuner

    completion = get_completion_class(shell)
    assert completion is not None
    click.echo(completion(tuner, {}, "tuner", "_TUNER_COMPLETE").source())
