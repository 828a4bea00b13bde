"""Makes docs/json.md from the documents of the commands and the descriptions of their fields."""

from collections.abc import Iterator
from types import NoneType
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

import msgspec

from tuner.documents import base, commands, measurement, study

BEGINNING = """# JSON and CSV

What commands print with `--json`, and what `evidence.json` beside an exported engine holds: one JSON document
each, on standard output alone. Numbers are finite; what is not known is `null`. Times are UTC in ISO 8601,
durations seconds, sizes bytes. This page is made by `python docs/generate.py`.

Fields are added without notice; none changes its meaning or goes away without a new number in `schema`.
In the tables `NAME` stands for a name that depends on the study: of a metric, a dimension, an input, a
package. `[]` stands for each element of a list.
"""
CSV = """## CSV

`tuner show --csv` prints a row a trial: `number`, `state`, each dimension, each metric (`latency_ms`, with
its interval as `latency_ms_low` and `latency_ms_high` where it has one), `behind` (whether measuring was
stopped early), `violated` (the constraints missed), `failed_at` (the stage), `failure` (the message),
`seconds`, `reused` and `same_engine_as`. `Result.trials` of the Python API has the same columns.
"""


class Section(NamedTuple):
    """A document of the page; `besides` is one whose fields it has too, which are not listed again."""

    heading: str
    document: type[base.Document]
    besides: type[base.Document] | None = None


DOCUMENTS = (
    Section("A study", study.Study),
    Section("A trial", study.Trial),
    Section("A measurement", measurement.Measurement),
    Section("An estimate", base.Estimate),
    Section("A machine", base.Machine),
    Section("A trial by itself", study.OneTrial, study.Trial),
    Section("The end of a search", study.EndedSearch, study.Study),
    Section("All studies", study.Studies),
    Section("A plan", commands.SearchPlan),
    Section("The end of a recording", commands.EndedRecording),
    Section("What the doctor says", commands.Diagnosis),
    Section("A measured engine", commands.MeasuredEngine),
    Section("A ranking of nodes", commands.Ranking),
    Section("A comparison", commands.ComparedSides),
    Section("A bisection", commands.Bisection),
    Section("The evidence of an export", study.ExportEvidence, study.StudyHeader),
)
# described once; wherever one is part of another document it is referred to
SHARED = {one.document: one.heading for one in DOCUMENTS[1:5]}
SCALARS = {int: "number", float: "number", str: "text", bool: "true or false", Any: "value"}


def json_page() -> str:
    """The page of documents as it should be."""
    return "\n".join([BEGINNING, *map(_document, DOCUMENTS), CSV])


def _document(section: Section) -> str:
    besides = {field.name for field in msgspec.structs.fields(section.besides)} if section.besides else set()
    rows = [
        f"| `{path}` | {value} | {meaning} |"
        for path, value, meaning in _rows(section.document)
        if path.partition(".")[0].partition("[")[0] not in besides
    ]
    about = " ".join((section.document.__doc__ or "").split())
    table = ["| field | value | meaning |", "|---|---|---|", *rows]
    return "\n".join([f"## {section.heading}", "", about, "", *table, ""])


Row = tuple[str, str, str]


def _rows(document: type[msgspec.Struct]) -> Iterator[Row]:
    for name, annotated in get_type_hints(document, include_extras=True).items():
        of, *notes = get_args(annotated) if get_origin(annotated) is Annotated else (annotated,)
        meaning = " ".join(note.description for note in notes if note.description)
        title = next((note.title for note in notes if note.title), "")
        yield from _field(name, of, title, meaning)


def _field(path: str, of: Any, title: str, meaning: str) -> Iterator[Row]:
    """The row of a field, and those of what is inside it."""
    inside = [one for one in get_args(of) if one is not NoneType]
    if NoneType in get_args(of):
        rows = list(_field(path, inside[0], title, meaning))
        yield rows[0][0], f"{rows[0][1]} or null", rows[0][2]
        yield from rows[1:]
    elif get_origin(of) is dict:
        yield from _field(f"{path}.NAME", inside[1], title, meaning)
    elif get_origin(of) is list and _is_document(inside[0]):
        link = SHARED.get(inside[0])
        yield path, f"list, each {_link(link)}" if link else "list of objects", meaning
        yield from () if link else _below(f"{path}[]", inside[0])
    elif get_origin(of) is list:
        yield path, "list", meaning
    elif _is_document(of):
        link = SHARED.get(of)
        yield path, _link(link) if link else "object", meaning
        yield from () if link else _below(path, of)
    else:
        yield path, title or SCALARS[of], meaning


def _below(path: str, document: type[msgspec.Struct]) -> Iterator[Row]:
    return ((f"{path}.{name}", value, meaning) for name, value, meaning in _rows(document))


def _link(heading: str) -> str:
    return f"[{heading.lower()}](#{heading.lower().replace(' ', '-')})"


def _is_document(of: Any) -> bool:
    return isinstance(of, type) and issubclass(of, msgspec.Struct)
