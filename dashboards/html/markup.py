"""HTML that is safe by construction: text is escaped unless it was made by `element`."""

from collections.abc import Iterable
from html import escape


class Html(str):
    """Text that is HTML already; any other text is escaped where it is put into an element."""

    __slots__ = ()


def element(tag: str, *children: str, **attributes: str | bool | None) -> Html:
    """An element; attributes that are None or False are left out, `class_` and `data_x` lose their marks."""
    return Html(f"<{tag}{_attributes(attributes)}>{join(children)}</{tag}>")


def join(children: Iterable[str]) -> Html:
    """The children one after the other, text among them escaped."""
    return Html("".join(child if isinstance(child, Html) else escape(child) for child in children))


def sentence(text: str) -> str:
    """The text with each per cent sign in the line of its number."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%")


def _attributes(attributes: dict[str, str | bool | None]) -> str:
    parts = []
    for name, value in attributes.items():
        if value is None or value is False:
            continue
        spelled = name.rstrip("_").replace("_", "-")
        parts.append(f" {spelled}" if value is True else f' {spelled}="{escape(value)}"')
    return "".join(parts)
