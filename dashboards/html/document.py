"""One HTML file that opens offline: style, script, and plotly.js are inside.

What is on a page is plain HTML; only its charts need the script. Text that is not Markup is escaped where it
is put into an element.
"""

import base64
import gzip
import hashlib
import json
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup
from plotly.offline import get_plotlyjs

from dashboards.html.palette import css_variables, dark_by_light
from engines.artifacts.workspace import write_file
from engines.core.errors import UserError


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


def document(title: str, heading: str, subtitle: str, content: Markup) -> str:
    """Return the whole page; `title` is the browser's, `subtitle` may be empty."""
    page = Markup(_asset("page.html")).format(
        policy=Markup(_policy()),
        title=title,
        heading=heading,
        subtitle=element("p", subtitle, class_="hint") if subtitle else "",
        style=Markup(_style()),
        content=content,
        dark=script_json(dark_by_light()),
        plotly=_plotly().packed,
        script=Markup(_asset("page.js")),
    )
    return str(page)


def write_document(text: str, path: Path, what: str) -> None:
    """Write the page in place of an older file, which stays as it was where that fails with a UserError.

    `what` is what the page is called in the error.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, text.encode())
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UserError(
            f"cannot write the {what} to {path}: {reason}", "Name another place for it."
        ) from error


def script_json(value: Any) -> Markup:
    """Return JSON that cannot end the script element that it stands in."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


class _Library(NamedTuple):
    """plotly.js as it is embedded: compressed, and the digest by which the page lets it run."""

    packed: str
    digest: str


@cache
def _plotly() -> _Library:
    source = get_plotlyjs()
    packed = base64.b64encode(gzip.compress(source.encode(), 9, mtime=0)).decode()
    return _Library(packed, _digest(source))


def _policy() -> str:
    """Return a content security policy that allows these two scripts and no network access."""
    scripts = f"script-src '{_plotly().digest}' '{_digest(_asset('page.js'))}'"
    looks = "style-src 'unsafe-inline'; img-src data: blob:"
    return f"default-src 'none'; {scripts}; {looks}; form-action 'none'; base-uri 'none'"


def _digest(source: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}"


def _style() -> str:
    dark = css_variables("dark")
    return (
        f":root{{{css_variables('light')}}}"
        f"@media screen and (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}}}}}"
        f"@media screen{{:root[data-theme=dark]{{{dark}}}}}\n{_asset('page.css')}"
    )


@cache
def _asset(name: str) -> str:
    return resources.files("dashboards").joinpath("assets", name).read_text(encoding="utf-8")
