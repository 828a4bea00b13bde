"""The files of a workload: kept in the workspace, and found again where they or the study moved.

A file is what its digest says. It is looked for where it was last seen, in the workspace, beside it, and in
the current folder.
"""

import glob
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from engines.artifacts.store import LocalStore
from engines.artifacts.workspace import Workspace
from engines.core.errors import UserError
from engines.core.values import FileRef, InputSource, ModelFacts, TaskMetric, Workload
from engines.data.calibration import folder_digest, folder_files
from engines.data.inputs_file import file_digest
from engines.data.user_functions import find_function

# of a digest, as much as tells files apart
SHOWN_DIGITS = 12


@dataclass(frozen=True)
class _Kind:
    """What a file is to a workload: its digest at a path (a UserError where it cannot be read), its parts."""

    what: str
    digest_of: Callable[[Path], str]
    parts_of: Callable[[Path], Mapping[str, Path]]


def keep(workload: Workload, workspace: Workspace) -> None:
    """Keeps the workload's files in the workspace, so that the originals may change or go.

    What cannot be kept, for want of room or because it is gone already, is left out.
    """
    store = LocalStore(workspace.files)
    for kind, ref, path in _files(workload):
        with suppress(OSError, UserError):
            if store.find(ref.digest) is None:
                store.add_file(path(), ref.digest, kind.parts_of(path()))


def located(workload: Workload, workspace: Workspace, *, check: bool = False) -> Workload:
    """The workload with each of its files where it is now; raises UserError for one that is nowhere.

    With `check` what lies where a file was last seen must be that file; else it is taken to be.
    """
    finder = _Finder(workspace, check)
    model = replace(workload.model, file=finder.file(_model(), workload.model.file))
    inputs = finder.source("the inputs", workload.inputs, model)
    assert inputs is not None
    return replace(
        workload,
        model=model,
        inputs=inputs,
        calibration=finder.source("the calibration data", workload.calibration, model),
        expected=finder.source("the right outputs", workload.expected, model),
        metrics=tuple(finder.metric(metric) for metric in workload.metrics),
    )


def kept_file(name: str, workspace: Workspace) -> Path | None:
    """The file of that name that the workspace keeps; None where it keeps none, or several."""
    kept = [path for path in workspace.files.glob(f"*/{glob.escape(name)}") if path.is_file()]
    if len(kept) != 1:
        return None
    digests = (_digest(kind, kept[0]) for kind in (_model(), _Kind("", file_digest, _alone)))
    return kept[0] if kept[0].parent.name in digests else None


def located_model(model: ModelFacts, workspace: Workspace) -> Path:
    """Where the model is now, and where it was last seen when it is nowhere."""
    try:
        return _Finder(workspace, check=True).file(_model(), model.file).path
    except UserError:
        return model.file.path


@dataclass(frozen=True)
class _Finder:
    workspace: Workspace
    check: bool

    def file(self, kind: _Kind, ref: FileRef) -> FileRef:
        if not self.check and ref.where and ref.path.exists():
            return ref
        for path in (*((ref.path,) if ref.where else ()), *self._places(ref)):
            if _digest(kind, path) == ref.digest:
                return replace(ref, where=str(path))
        raise _missing(kind.what, ref)

    def source(self, what: str, source: InputSource | None, model: ModelFacts) -> InputSource | None:
        if source is None or source.file is None:
            return source
        if source.function is not None:
            function, ref = self.function(what, source.function, source.file)
            return replace(source, function=function, file=ref)
        return replace(source, file=self.file(_data(what, model), source.file))

    def metric(self, metric: TaskMetric) -> TaskMetric:
        function, ref = self.function(f"the metric {metric.name!r}", metric.function, metric.file)
        return replace(metric, function=function, file=ref)

    def function(self, what: str, text: str, ref: FileRef) -> tuple[str, FileRef]:
        """The function as it is to be named from the folder that it is found in."""
        if ref.where and _module(text, ref.path) == ref.digest:
            return text, ref
        name = text.rpartition(":")[2]
        by_file = f"{ref.name}:{name}"
        places = [(by_file, path.parent) for path in self._places(ref)]
        places += [(text, folder) for folder in self._folders()]
        for one, folder in places:
            if _module(one, folder) == ref.digest:
                return one, replace(ref, where=str(folder.resolve()))
        raise _missing(what, ref)

    def _places(self, ref: FileRef) -> Iterator[Path]:
        """Where it may be but for where it was last seen."""
        store = LocalStore(self.workspace.files)
        if store.find(ref.digest) is not None:
            yield store.fetch(ref.digest) / ref.name
        for folder in self._folders():
            yield folder / ref.name

    def _folders(self) -> tuple[Path, ...]:
        return self.workspace.root.resolve().parent, Path.cwd()


def _digest(kind: _Kind, path: Path) -> str | None:
    """None where there is nothing, or nothing of the kind."""
    if not path.exists():
        return None
    try:
        return kind.digest_of(path)
    except (UserError, OSError):
        return None


def _module(text: str, folder: Path) -> str | None:
    """The digest of the module that a function is written in; None where it is not found."""
    try:
        return find_function(text, folder).digest
    except UserError:
        return None


def _missing(what: str, ref: FileRef) -> UserError:
    sha256, hint = ref.digest[:SHOWN_DIGITS], "or run the command in the folder that holds it."
    if ref.where and ref.path.is_file():
        return UserError(
            f"{ref.where} is not {what} that the study is about any more, which has the sha256 {sha256}",
            f"Put the old file back, {hint}",
        )
    return UserError(
        f"{what} {ref.name!r} of sha256 {sha256} is not where it was ({ref.where or 'unknown'}), nor in or "
        "beside the workspace",
        f"Put it back, {hint}",
    )


def _files(workload: Workload) -> Iterator[tuple[_Kind, FileRef, Callable[[], Path]]]:
    """Each file with what it is, and what says where to read it."""
    yield _model(), workload.model.file, lambda: workload.model.file.path
    sources = (workload.inputs, workload.calibration, workload.expected)
    for source in (one for one in sources if one is not None and one.file is not None):
        yield from _file_of(source.function, source.file, workload.model)
    for metric in workload.metrics:
        yield from _file_of(metric.function, metric.file, workload.model)


def _file_of(
    function: str | None, ref: FileRef | None, model: ModelFacts
) -> Iterator[tuple[_Kind, FileRef, Callable[[], Path]]]:
    assert ref is not None
    if function is None:
        yield _data("", model), ref, lambda: ref.path
    else:
        one = _Kind("", file_digest, _alone)
        yield one, ref, lambda: Path(find_function(function, ref.path).file)


def _model() -> _Kind:
    return _Kind("the model", _model_digest, _model_parts)


def _model_digest(path: Path) -> str:
    # loads onnx, which a worker whose files are all in their places need not wait for
    from engines.models import weights

    data, beside = _read_model(path)
    return weights.digest(data, beside)


def _model_parts(path: Path) -> dict[str, Path]:
    """The file and those of its external weights, as they lie to each other."""
    _, beside = _read_model(path)
    return {path.name: path, **{str(one.relative_to(path.parent)): one for one in beside}}


def _read_model(path: Path) -> tuple[bytes, tuple[Path, ...]]:
    """The bytes of the file, and the files of its external weights."""
    from engines.models import read, weights

    data = read.file_bytes(path)
    return data, weights.external_files(read.parse(data, path), path.parent)


def _data(what: str, model: ModelFacts) -> _Kind:
    """A file, or a folder of them."""

    def digest_of(path: Path) -> str:
        return folder_digest(path, model) if path.is_dir() else file_digest(path)

    def parts_of(path: Path) -> dict[str, Path]:
        if not path.is_dir():
            return _alone(path)
        return {f"{path.name}/{one.relative_to(path)}": one for one in folder_files(path, model)}

    return _Kind(what, digest_of, parts_of)


def _alone(path: Path) -> dict[str, Path]:
    return {path.name: path}
