"""Options of the command made from fields: flags, types and what --help says of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import click
import pytest
from click.testing import CliRunner

from studies.core.options import Count, Flags, Help, Metavar, Positional, Seconds, Switches
from tuner.commands.click_options import asked, option, options
from tuner.commands.common import in_order


@dataclass(frozen=True)
class Some:
    model: Annotated[Path, Positional("MODEL"), Help("A model.")]
    sizes: Annotated[tuple[str, ...], Flags(("--size", "--Size")), Metavar("S"), Help("Sizes.", "all")] = ()
    timeout: Annotated[Seconds, Help("Time at most.")] = None
    racing: Annotated[bool, Help("Stop early.")] = True
    graph: Annotated[bool | None, Help("As a graph.")] = None
    cold: Annotated[bool, Help("Cold too.")] = False
    runs: Annotated[Count, Help("Runs.")] = 5
    like: Annotated[Literal[10, 11] | None, Help("As it does.")] = None
    mode: Annotated[
        Literal["continue", "resume", "new"],
        Switches((("resume", "Go on."), ("new", "Begin."))),
        Help("How."),
    ] = "continue"


def _run(*arguments: str) -> Any:
    got: dict[str, Any] = {}

    @click.command()
    @in_order(*options(Some))
    def command(**given: Any) -> None:
        got.update(asked(given, Some))

    result = CliRunner().invoke(command, list(arguments))
    return got if result.exit_code == 0 and got else result.output


def test_values_come_in_the_types_of_their_fields() -> None:
    assert Some(**_run("m.onnx")) == Some(Path("m.onnx"))
    given = (
        "--size",
        "1",
        "--Size",
        "2",
        "--timeout",
        "1m",
        "--no-racing",
        "--graph",
        "--cold",
        "--like",
        "11",
    )
    assert Some(**_run("m", *given, "--new")) == Some(
        Path("m"), ("1", "2"), 60.0, racing=False, graph=True, cold=True, like=11, mode="new"
    )


def test_switches_exclude_each_other() -> None:
    assert "--resume and --new exclude each other" in _run("m", "--resume", "--new")


@pytest.mark.parametrize(
    "said",
    [
        "[OPTIONS] MODEL",
        "--size, --Size S ",
        "Sizes.  [default: all]",
        "--timeout TIME ",
        "Stop early.  [default: racing]",
        "--graph / --no-graph ",
        "As a graph.\n",
        "Cold too.\n",
        "Runs.  [default: 5]",
        "--like [10|11]",
        "--resume  ",
    ],
)
def test_help_says_what_the_fields_say(said: str) -> None:
    assert said in _run("--help")


def test_a_command_may_say_another_thing_of_an_option() -> None:
    @click.command()
    @option(Some, "runs", Help("Passes."))
    def command(**_: Any) -> None: ...

    assert "Passes.  [default: 5]" in CliRunner().invoke(command, ["--help"]).output
