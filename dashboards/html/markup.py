"""Elements of HTML; whatever is not Markup already is escaped where it is put into one."""

from markupsafe import Markup


def element(tag: str, *children: str, **attributes: str | bool | None) -> Markup:
    """Return an element; attributes that are None or False are left out.

    `class_` and `data_x` stand for `class` and `data-x`.
    """
    given = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
    spelled = [
        Markup(" {}").format(name) if value is True else Markup(' {}="{}"').format(name, value)
        for name, value in given.items()
        if value is not None and value is not False
    ]
    return Markup("<{0}{1}>{2}</{0}>").format(tag, Markup().join(spelled), Markup().join(children))


def sentence(text: str) -> str:
    """Return the text with each per cent sign in the line of its number."""
    return text.replace(" %", "\N{NO-BREAK SPACE}%")
