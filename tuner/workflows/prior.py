"""What a search begins with of what earlier ones showed, and how the user is told."""

from collections.abc import Sequence

from dashboards.words import formats, verdict
from studies.core.records import StudyRecord, StudySpec
from studies.search.observations import Earlier
from studies.search.transfer.find import earlier_studies, priors_of, recorded_studies
from studies.storage.storage import Storage


def begun_with(
    storage: Storage, spec: StudySpec, name: str, before: StudyRecord | None, wanted: bool
) -> tuple[Earlier, ...]:
    """The earlier studies to learn from; for a study that is gone on with, those that it began with."""
    if not wanted:
        return ()
    if before is not None:
        return recorded_studies(storage, spec, before.priors)
    return earlier_studies(storage, spec, but=name)


def notes(earlier: Sequence[Earlier], goes_on: bool) -> tuple[str, ...]:
    """What the user should know of it; nothing where there is nothing to learn from."""
    if not earlier:
        return ()
    verb = "goes on" if goes_on else "begins"
    count = formats.plural(len(earlier), "earlier study", "earlier studies")
    said = verdict.priors(priors_of(earlier))
    return (f"{verb} with what {count} on this machine showed: {said}; --no-prior leaves them out",)
