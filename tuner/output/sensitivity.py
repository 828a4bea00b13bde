"""What `tuner sensitivity` prints."""

import glob
import math
import shlex

from dashboards.charts.sensitivity import error_text
from dashboards.words import formats
from tuner.terminal.tables import add_row, new_table, print_table
from tuner.workflows.sensitivity import Ranked


def print_ranking(ranked: Ranked, top: int) -> None:
    """Print the ranking for people, and what to do with it."""
    shares = squared_shares([one.error for one in ranked.nodes])
    table = new_table("rank", "node", "operator", "error alone", "share")
    for place, (one, share) in enumerate(list(zip(ranked.nodes, shares, strict=True))[:top], 1):
        part = formats.MISSING if share is None else formats.percent(share)
        add_row(table, str(place), one.node, one.operator, error_text(one.error), part)
    print_table(table)
    left_out = len(ranked.nodes) - top
    if left_out > 0:
        print(f"and {formats.plural(left_out, 'node')} that hurt less; --top {len(ranked.nodes)} shows all")
    print(f"\n{advice(ranked)}")


def squared_shares(errors: list[float]) -> list[float | None]:
    """Return each error's share of the sum of squares; None if an error is not finite."""
    squares = [error**2 for error in errors]
    total = sum(squares)
    if not math.isfinite(total):
        return [None] * len(errors)
    return [square / total if total else 0.0 for square in squares]


def advice(ranked: Ranked) -> str:
    """Return what to do with the ranking, in a sentence."""
    endless = [one for one in ranked.nodes if not math.isfinite(one.error)]
    kept = " ".join(
        f"--keep-fp32 {shlex.quote(glob.escape(one.node))}" for one in endless or ranked.nodes[:1]
    )
    what = "These give NaN or infinite outputs by themselves, so keep" if len(endless) > 1 else "Keep"
    which = "them" if len(endless) > 1 else "the first"
    model = shlex.quote(ranked.workload.model.file.where)
    command = f"tuner search {model} --precision {ranked.precision} {kept}"
    return f"{what} {which} in FP32: {command}"
