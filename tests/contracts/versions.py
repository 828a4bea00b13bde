"""The versions of TensorRT that the backend is for, and what comes of driving it over one."""

from typing import Any

from tests.contracts.bindings import fetch

# a new version is a line here
VERSIONS = (
    ("tensorrt", "10.13.2.6"),
    ("tensorrt", "10.16.1.11"),
    ("tensorrt", "11.4.0.106"),
    ("tensorrt-rtx", "1.4.0.76"),
    ("tensorrt-rtx", "1.6.1.120"),
    ("tensorrt-rtx", "1.7.1.116"),
)
STREAMS = [1, 2, 3, 4, 6, 8]
WEAK_FLAGS = {
    "weak_fp16": {"FP16"},
    "weak_bf16": {"BF16"},
    "weak_int8": {"INT8"},
    "weak_fp8": {"FP8"},
    "weak_int8_fp16": {"INT8", "FP16"},
    "weak_best": {"INT8", "FP16", "BF16"},
}

Driven = dict[str, Any]


def drive(backend: str, version: str, without: tuple[str, ...] = (), only: tuple[str, ...] = ()) -> Driven:
    """The report on the backend over a version, and over it without each of some names; `only` some steps."""
    job = {"backend": backend, "without": without, "only": only}
    return {"backend": backend, **fetch(backend, version).run("tests.contracts.drive", job)}
