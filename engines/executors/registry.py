"""The executors there are, by name."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

from engines.artifacts.workspace import Workspace
from engines.executors.base import StudyExecutor
from engines.executors.local import LocalExecutor
from engines.worker.protocol import Open

LOCAL = "local"
# makes an executor for what a study opens; it is closed when the context is left
OpenExecutor = Callable[[Open, Workspace], AbstractContextManager[StudyExecutor]]

EXECUTORS: Mapping[str, OpenExecutor] = {LOCAL: LocalExecutor}


def open_executor(
    opening: Open, workspace: Workspace, name: str = LOCAL
) -> AbstractContextManager[StudyExecutor]:
    """The executor of this name, not yet started."""
    return EXECUTORS[name](opening, workspace)
