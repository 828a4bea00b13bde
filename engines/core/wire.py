"""Values as JSON and back, and their digests.

Sample arrays travel as base64 of little-endian float64, so that JSON stays text and nothing is rounded.
"""

import base64
import hashlib
from functools import cache
from typing import Any, TypeVar, cast, get_origin

import msgspec
import numpy as np

from engines.core.values import Settings

T = TypeVar("T")


def to_json(value: object) -> bytes:
    """Return the value as canonical JSON: keys sorted, no white space."""
    return _encoder().encode(value)


def from_json(text: bytes | str, of: type[T]) -> T:
    """Return the value of type `of` in the text; raises msgspec.ValidationError naming the wrong field."""
    return cast("T", decoder(cast("Any", of)).decode(text))


def from_plain(value: object, of: type[T]) -> T:
    """Return the value of type `of` in dicts, lists and scalars; raises like `from_json`."""
    return msgspec.convert(value, of, dec_hook=_decode)


def to_plain(value: object) -> Any:
    """Return the value as dicts, lists and scalars, as JSON would hold it."""
    return msgspec.to_builtins(value, enc_hook=_encode, order="sorted")


def digest(*parts: object) -> str:
    """Return the name of a value: 32 hexadecimal digits of the sha256 of its canonical JSON."""
    return hashlib.sha256(to_json(parts)).hexdigest()[:32]


@cache
def _encoder() -> msgspec.json.Encoder:
    return msgspec.json.Encoder(enc_hook=_encode, order="sorted")


@cache
def decoder(of: Any) -> "msgspec.json.Decoder[Any]":
    """Return the decoder of a type, made once."""
    return msgspec.json.Decoder(of, dec_hook=_decode)


def _encode(value: object) -> object:
    if isinstance(value, Settings):
        return dict(value)
    if isinstance(value, np.ndarray):
        return base64.b64encode(np.ascontiguousarray(value, dtype="<f8").tobytes()).decode()
    raise NotImplementedError(f"{type(value).__name__} has no JSON form")


def _decode(of: Any, value: Any) -> object:
    if of is Settings:
        return Settings(value)
    if of is np.ndarray or get_origin(of) is np.ndarray:
        samples = np.frombuffer(base64.b64decode(value), dtype="<f8")
        samples.flags.writeable = False
        return samples
    raise NotImplementedError(f"{of} has no JSON form")
