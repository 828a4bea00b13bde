"""What a function of a pybind11 module takes and gives, read from the docstring that pybind11 writes."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

OPENING, CLOSING = "([{<", ")]}>"

# whether a value can be passed as a type, which is named as in the docstring
Fits = Callable[[str, object], bool]


@dataclass(frozen=True)
class Parameter:
    name: str
    type: str
    is_optional: bool


@dataclass(frozen=True)
class Signature:
    """One overload, without `self`."""

    parameters: tuple[Parameter, ...]
    result: str

    def refusal(self, arguments: Sequence[object], keywords: Mapping[str, object], fits: Fits) -> str:
        """Why it does not take these; empty when it does."""
        if len(arguments) > len(self.parameters):
            return f"takes {len(self.parameters)} arguments, not {len(arguments)}"
        given = {of.name: value for of, value in zip(self.parameters, arguments, strict=False)}
        known = {of.name for of in self.parameters}
        for name, value in keywords.items():
            if name not in known or name in given:
                return f"takes no {name!r} here"
            given[name] = value
        for of in self.parameters:
            if of.name not in given and not of.is_optional:
                return f"needs {of.name!r}"
            if of.name in given and not fits(of.type, given[of.name]):
                return f"takes {of.type} as {of.name!r}, not {given[of.name]!r}"
        return ""


@cache
def signatures(doc: str) -> tuple[Signature, ...]:
    """The overloads that a docstring lists; of a property's getter or setter too."""
    first, _, rest = doc.partition("\n")
    overloads = re.findall(r"^\d+\. (.*)$", rest, re.MULTILINE) if "Overloaded function." in rest else [first]
    return tuple(_signature(re.sub(r"^\w+", "", line)) for line in overloads)


def accepting(
    overloads: Sequence[Signature], arguments: Sequence[object], keywords: Mapping[str, object], fits: Fits
) -> Signature:
    """The overload that takes these; raises TypeError as pybind11 does."""
    refusals = []
    for signature in overloads:
        refusal = signature.refusal(arguments, keywords, fits)
        if not refusal:
            return signature
        refusals.append(refusal)
    raise TypeError("; ".join(refusals))


def split(text: str, separator: str = ",") -> list[str]:
    """The parts between separators that stand in no brackets."""
    parts, depth, start = [], 0, 0
    for place, letter in enumerate(text):
        depth += (letter in OPENING) - (letter in CLOSING)
        if depth == 0 and letter == separator:
            parts.append(text[start:place])
            start = place + 1
    return [part.strip() for part in (*parts, text[start:]) if part.strip()]


def _signature(line: str) -> Signature:
    """Of `(self: m.Class, name: type = default) -> result`."""
    arguments, _, result = line.rpartition(" -> ")
    parameters = [_parameter(part) for part in split(arguments.strip()[1:-1])]
    own = parameters[1:] if parameters and parameters[0].name in ("self", "arg0") else parameters
    return Signature(tuple(own), result.strip())


def _parameter(text: str) -> Parameter:
    declared, _, default = text.partition(" = ")
    name, _, kind = declared.partition(":")
    return Parameter(name.strip(), kind.strip(), bool(default))
