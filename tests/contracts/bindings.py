"""The real Python bindings of TensorRT versions that cannot be installed here, to check our code against.

A wheel of bindings is a megabyte of pybind11 that needs the vendor's libraries. Stand-ins for those, compiled
here, are enough to import it: every class, signature and enum is there, though nothing can be built or run.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from engines.artifacts.workspace import new_folder
from tests.paths import ROOT

# the backend's name, and the distribution and the package of its bindings
PACKAGES: Mapping[str, tuple[str, str]] = {
    "tensorrt": ("tensorrt_cu13_bindings", "tensorrt_bindings"),
    "tensorrt-rtx": ("tensorrt_rtx_cu13_bindings", "tensorrt_rtx_bindings"),
}
LIBRARIES = re.compile(rb"lib(?:nvinfer|nvonnxparser|tensorrt)\w*\.so\.\d+")
# every function that any of the bindings imports: those that make objects make none
NULL_FUNCTIONS = (
    "createInferBuilder_INTERNAL",
    "createInferRefitter_INTERNAL",
    "createInferRuntime_INTERNAL",
    "createNvOnnxParserRefitter_INTERNAL",
    "createNvOnnxParser_INTERNAL",
    "getBuilderPluginRegistry",
    "getPluginRegistry",
)
NUMBER_FUNCTIONS = ("getInferLibVersion", "getNvOnnxParserVersion", "initLibNvInferPlugins")


@dataclass(frozen=True)
class Bindings:
    """One version of the bindings, unpacked, with stand-ins for its libraries beside it."""

    backend: str
    version: str
    folder: Path

    def run(self, module: str, job: object) -> Any:
        """What `python -m MODULE` answers to a job, both JSON, in a process that has these bindings.

        Extension modules cannot be unloaded, so each version needs a process of its own.
        """
        ran = subprocess.run(
            [sys.executable, "-m", module],
            input=json.dumps(job),
            cwd=ROOT,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join([str(ROOT), str(self.folder)]),
                "LD_LIBRARY_PATH": str(self.folder / "libraries"),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr[-4000:]
        return json.loads(ran.stdout)


def fetch(backend: str, version: str) -> Bindings:
    """The bindings of a version, kept between runs; skips the test where they cannot be had."""
    folder = cache_folder() / f"{backend}-{version}-{sys.implementation.cache_tag}"
    reason = "" if folder.is_dir() else _made(backend, version, folder)
    if reason:
        pytest.skip(f"the bindings of {backend} {version} cannot be had: {reason}")
    return Bindings(backend, version, folder)


def cache_folder() -> Path:
    """Where downloads survive: outside the checkout, in the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "trt-tuner" / "bindings"


@cache
def _made(backend: str, version: str, folder: Path) -> str:
    """Makes the folder; why it cannot be made, empty when it is there. Tried once in a process."""
    if not shutil.which("cc"):
        return "there is no C compiler (cc)"
    folder.parent.mkdir(parents=True, exist_ok=True)
    distribution, package = PACKAGES[backend]
    try:
        with new_folder(folder) as new:
            _download(f"{distribution}=={version}", new)
            (module,) = (new / package).glob("*.so")
            _compile(set(LIBRARIES.findall(module.read_bytes())), new / "libraries")
    except _UnavailableError as error:
        return str(error)
    return ""


class _UnavailableError(Exception):
    """No registry has the wheel."""


def _download(requirement: str, folder: Path) -> None:
    """Unpacks the wheel into the folder; raises _UnavailableError with pip's last word when there is none."""
    options = ["--quiet", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check"]
    patience = ["--retries=1", "--timeout=30", f"--dest={folder}"]
    ran = subprocess.run(
        [sys.executable, "-m", "pip", "download", *options, *patience, requirement],
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode != 0:
        raise _UnavailableError(ran.stderr.strip().rpartition("\n")[2] or "pip failed")
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    wheel.unlink()


def _compile(names: set[bytes], folder: Path) -> None:
    """A library of each name, with every function that the bindings look for."""
    folder.mkdir()
    source = folder / "standin.c"
    nothing = "".join(f"void *{name}(void) {{ return 0; }}\n" for name in NULL_FUNCTIONS)
    source.write_text(nothing + "".join(f"int {name}(void) {{ return 1; }}\n" for name in NUMBER_FUNCTIONS))
    for name in sorted(name.decode() for name in names):
        subprocess.run(
            ["cc", "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", folder / name, source], check=True
        )
