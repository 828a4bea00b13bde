"""Click's options and arguments, made from the fields that describe them (see `studies.core.options`)."""

from collections.abc import Callable
from dataclasses import MISSING
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import click

from studies.core.options import Help, Positional, Spelling, Switches, Units
from tuner.commands.parameter_types import FilePath, Seconds, Share
from tuner.options.fields import Option, options_of

Decorator = Callable[[Any], Any]
TYPES: dict[Any, Any] = {Path: FilePath(), int: int, float: float, str: str}
UNITS: dict[str, click.ParamType[float]] = {"seconds": Seconds(), "share": Share()}


def options(kind: type, *, but: tuple[str, ...] = ()) -> tuple[Decorator, ...]:
    """Return the options of the class in the order of its fields, except those named."""
    return tuple(
        added
        for name, one in options_of(kind).items()
        if name not in but and one.mark(Spelling) != Spelling("policy")
        for added in _made(one, one.help)
    )


def option(kind: type, name: str, help_text: Help | None = None) -> Decorator:
    """Return one option of the class, with another text in --help where one is given."""
    one = options_of(kind)[name]
    (made,) = _made(one, help_text or one.help)
    return made


def asked(options: dict[str, Any], kind: type) -> dict[str, Any]:
    """Return the values that click read for the options of the class, switches as their values."""
    values = dict(options)
    for name, one in options_of(kind).items():
        switches = one.mark(Switches)
        flags = switches.values if switches is not None else ()
        on = [value for value, _ in flags if values.pop(value)]
        if len(on) > 1:
            raise click.UsageError(f"--{on[0]} and --{on[1]} exclude each other")
        if on:
            values[name] = on[0]
    return values


def _made(one: Option, about: Help) -> list[Decorator]:
    switches, positional = one.mark(Switches), one.mark(Positional)
    if switches is not None:
        return [click.option(f"--{value}", is_flag=True, help=text) for value, text in switches.values]
    if positional is not None:
        required = one.default is MISSING
        return [click.argument(one.name, type=_type(one), metavar=positional.metavar, required=required)]
    if one.value_type is bool:
        return [_switch(one, about)]
    several = get_origin(one.value_type) is tuple
    by_default = {"default": one.default, "show_default": True} if one.default not in (None, ()) else {}
    return [
        click.option(
            *one.flags,
            one.name,
            type=_type(one),
            multiple=several,
            metavar=one.metavar,
            help=_with_default(about.text, about.default),
            **by_default,
        )
    ]


def _switch(one: Option, about: Help) -> Decorator:
    if one.default is False:
        return click.option(*one.flags, one.name, is_flag=True, help=about.text)
    flag = one.flags[0]
    which = flag.removeprefix("--") if one.default else about.default
    return click.option(
        f"{flag}/--no-{flag.removeprefix('--')}",
        one.name,
        default=one.default,
        help=_with_default(about.text, which),
    )


def _with_default(text: str, default: str) -> str:
    return f"{text}  [default: {default}]" if default else text


def _type(one: Option) -> Any:
    unit = one.mark(Units)
    if unit is not None:
        return UNITS[unit.name]
    if get_origin(one.value_type) is Literal:
        return click.Choice(get_args(one.value_type))
    return TYPES[get_args(one.value_type)[0] if get_origin(one.value_type) is tuple else one.value_type]
