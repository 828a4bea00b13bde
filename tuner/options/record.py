"""The options of `tuner record` that a search has not."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from studies.core.options import Count, Help, MaybeCount, Metavar, Range, Seconds
from tuner.options.checks import check_options
from tuner.options.search import SearchOptions

# twice as many as the weights of `studies.recording.passes.LEVELS`
PASSES = 14


@dataclass(frozen=True)
class RecordOptions:
    """The options of `tuner record`; `search` are those that it has in common with a search.

    `candidates` is None for the whole space, `command` what the user typed; `warm_up` and `duration` are the
    seconds of one measurement, None for those of a search.
    """

    search: SearchOptions
    candidates: Annotated[
        MaybeCount,
        Range(1, hint="The first is the baseline."),
        Help("Measure a random part of the space, the baseline included.", default="all of it"),
    ] = None
    passes: Annotated[
        Count,
        Range(0, hint="0 measures everything once."),
        Help(
            "Number of passes over the best: over 200 of them, then 100, then 50, and over fewer of a small "
            "space."
        ),
    ] = PASSES
    warm_up: Annotated[Seconds, Range(0), Help("Time to warm up each.", default="200ms")] = None
    duration: Annotated[
        Seconds, Help("Time to measure each for.", default="until the interval is narrow, at most 3s")
    ] = None
    together: Annotated[
        bool,
        Help("Load engines while other recordings on the GPU load theirs; device memory is not recorded."),
    ] = False
    output: Annotated[
        Path | None,
        Metavar("FILE"),
        Help("File for the landscape.", default="reports/STUDY/landscape.json.gz in the workspace"),
    ] = None
    command: str = "tuner.workflows.record.run"

    def __post_init__(self) -> None:
        check_options(self)
