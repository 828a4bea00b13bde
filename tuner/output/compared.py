"""What `tuner compare` prints: tables and sentences for people, or JSON (see docs/json.md)."""

from collections.abc import Iterator, Mapping
from typing import Any

from dashboards.words import formats
from engines.accuracy.compare import Compared, NodeCompared
from engines.core.results import OutputError
from engines.shapes.text import format_dims, format_shapes
from engines.worker.protocol import GraphsCompared
from tuner.documents import commands
from tuner.documents.base import SCHEMA
from tuner.terminal.tables import add_row, new_table, print_table
from tuner.workflows.compare import Result

MEASURES = ("relative_l2", "max_abs", "mean_abs", "cosine", "snr_db", "top1")
HEADINGS = ("relative L2", "max abs", "mean abs", "cosine", "SNR", "top-1")


def print_result(result: Result, *, every_tensor: bool) -> None:
    """Print what was compared and how, each output, what is inside two graphs, and the verdict."""
    _print_what(result)
    print()
    _print_outputs(result)
    if result.graphs is not None:
        print()
        if every_tensor:
            _print_tensors(result.graphs)
        for line in graph_lines(result):
            print(line)
    print()
    print(f"{'beyond' if result.is_beyond else 'within'} the limit of {formats.power(result.limit)}")


def notes(result: Result) -> Iterator[str]:
    """Return what the user should know beside the figures."""
    yield from result.notes
    first, second = result.sides
    comparison = result.comparison
    for names, there, not_there in (
        (comparison.only_first, first.name, second.name),
        (comparison.only_second, second.name, first.name),
    ):
        for name in names:
            yield f"{there} has the output {name!r}, and {not_there} has not"


def graph_lines(result: Result) -> Iterator[str]:
    """Return the first difference of two graphs, in a sentence or two."""
    assert result.graphs is not None
    graphs, limit = result.graphs, formats.power(result.limit)
    found = first_beyond(graphs, result.limit)
    if not graphs.common:
        yield "the graphs have no tensors of the same names inside"
    elif found is None:
        yield f"of {formats.plural(graphs.common, 'tensor')} that both graphs have, none is beyond {limit}"
    else:
        name, error = found.compared.name, _error_text(found.compared)
        yield f"the first tensor beyond {limit} is {name!r}, made by {found.operator} {found.node!r}: {error}"
        before = input_errors(graphs, found)
        if before:
            said = ", ".join(f"{name!r} {_error_text(compared)}" for name, compared in before.items())
            yield f"its inputs: {said}"
        if found.conversions:
            through = " and ".join(found.conversions)
            yield f"in {result.sides[1].name} its inputs come through {through}"


def first_beyond(graphs: GraphsCompared, limit: float) -> NodeCompared | None:
    return next((node for node in graphs.tensors if node.compared.is_beyond(limit)), None)


def input_errors(graphs: GraphsCompared, node: NodeCompared) -> Mapping[str, Compared]:
    """Return what was compared of the node's inputs, by name."""
    by_name = {one.compared.name: one.compared for one in graphs.tensors}
    return {name: by_name[name] for name in node.inputs}


def document(result: Result) -> commands.ComparedSides:
    """Return the result as a document."""
    first, second = (commands.Side(name=side.name, about=side.about) for side in result.sides)
    comparison, graphs = result.comparison, result.graphs
    return commands.ComparedSides(
        schema=SCHEMA,
        first=first,
        second=second,
        shapes={name: list(shape) for name, shape in result.shapes.items()},
        inputs=str(result.inputs) if result.inputs else None,
        batches=result.batches,
        limit=result.limit,
        within=not result.is_beyond,
        outputs=[commands.ComparedTensor(**_compared(output)) for output in comparison.outputs],
        only_first=list(comparison.only_first),
        only_second=list(comparison.only_second),
        graphs=_graphs_document(graphs, result.limit) if graphs is not None else None,
        notes=list(notes(result)),
    )


def _print_what(result: Result) -> None:
    table = new_table()
    for place, side in zip(("first", "second"), result.sides, strict=True):
        add_row(table, place, f"{side.name} ({side.about})")
    if result.shapes:
        add_row(table, "shapes", format_shapes(result.shapes))
        source = str(result.inputs) if result.inputs else "random"
        add_row(table, "inputs", f"{source}, {formats.plural(result.batches, 'batch', 'batches')}")
    print_table(table)


def _print_outputs(result: Result) -> None:
    table = new_table("output", "shape", "type", *HEADINGS, "")
    for output in result.comparison.outputs:
        shapes = tuple(format_dims(shape) for shape in output.shapes)
        cells = (_both(*shapes), _both(*output.dtypes))
        add_row(table, output.name, *cells, *_measures(output.error), output.problem)
    print_table(table)


def _print_tensors(graphs: GraphsCompared) -> None:
    table = new_table("tensor", "operator", "node", *HEADINGS[:-1], "")
    for one in graphs.tensors:
        measures = _measures(one.compared.error)[:-1]
        add_row(table, one.compared.name, one.operator, one.node, *measures, one.compared.problem)
    print_table(table)
    print()


def _both(first: str, second: str) -> str:
    return first if first == second else f"{first} / {second}"


def _measures(error: OutputError | None) -> tuple[str, ...]:
    if error is None:
        return tuple(formats.MISSING for _ in HEADINGS)
    return (
        formats.number(error.relative_l2),
        formats.number(error.max_abs),
        formats.number(error.mean_abs),
        formats.number(error.cosine, 6),
        formats.quantity(error.snr_db, "dB"),
        formats.MISSING if error.top1 is None else formats.percent(error.top1),
    )


def _error_text(compared: Compared) -> str:
    return formats.number(compared.error.relative_l2) if compared.error else compared.problem


def _compared(compared: Compared) -> dict[str, Any]:
    error = compared.error
    return {
        "name": compared.name,
        "shapes": [list(shape) for shape in compared.shapes],
        "dtypes": list(compared.dtypes),
        **{name: getattr(error, name) if error is not None else None for name in MEASURES},
        "problem": compared.problem or None,
    }


def _graphs_document(graphs: GraphsCompared, limit: float) -> commands.Graphs:
    found = first_beyond(graphs, limit)
    return commands.Graphs(
        common=graphs.common,
        compared=len(graphs.tensors),
        first_beyond=None if found is None else found.compared.name,
        tensors=[_node_document(one) for one in graphs.tensors],
    )


def _node_document(one: NodeCompared) -> commands.ComparedNode:
    return commands.ComparedNode(
        **_compared(one.compared),
        node=one.node,
        operator=one.operator,
        inputs=list(one.inputs),
        conversions=list(one.conversions),
    )
