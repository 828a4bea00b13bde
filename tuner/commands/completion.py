"""`tuner completion`."""

import click
from click.shell_completion import get_completion_class

HELP = """Print the script that completes tuner's commands in SHELL.

\b
bash   eval "$(tuner completion bash)"       in ~/.bashrc
zsh    eval "$(tuner completion zsh)"        in ~/.zshrc
fish   tuner completion fish | source        in ~/.config/fish/config.fish
"""


@click.command(help=HELP)
@click.argument("shell", metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"]))
def command(*, shell: str) -> None:
    from tuner.cli import COMPLETION, tuner

    completion = get_completion_class(shell)
    assert completion is not None
    print(completion(tuner, {}, "tuner", COMPLETION).source())
