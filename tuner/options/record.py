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
            "Times that the best are measured again: 200 of them, then 100, then 50, and fewer of a small "
            "space."
        ),
    ] = PASSES
    warm_up: Annotated[Seconds, Range(0), Help("Time to run each untimed first.", default="200ms")] = None
    duration: Annotated[
        Seconds, Help("Time to measure each for.", default="until it is known well, at most 3s")
    ] = None
    together: Annotated[
        bool,
        Help("Load engines while others on the GPU load theirs; device memory is not known then."),
    ] = False
    output: Annotated[
        Path | None,
        Metavar("FILE"),
        Help("File for the landscape.", default="reports/STUDY/landscape.json.gz in the workspace"),
    ] = None
    command: str = "tuner.workflows.record.run"

    def __post_init__(self) -> None:
        check_options(self)
