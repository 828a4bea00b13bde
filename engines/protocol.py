"""What the study's owner and a worker say to each other: one JSON message a line.

The owner sends a request and reads messages until a reply comes; `Progress` is no reply.
"""

from functools import cache

import msgspec

from engines import wire
from engines.values import Candidate, Dimension, Evaluation, Machine, Policy, Settings, Stage, Workload


class Message(msgspec.Struct, frozen=True, tag=True):
    """A line on the pipe; its JSON carries the name of its type."""


class Open(Message, frozen=True):
    """Take this backend, this workload, and keep what is made below this folder."""

    backend: str
    options: Settings
    workspace: str
    workload: Workload
    policy: Policy
    concurrent: bool


class Opened(Message, frozen=True):
    machine: Machine
    dimensions: tuple[Dimension, ...]
    warnings: tuple[str, ...] = ()


class Prepare(Message, frozen=True):
    """Compute the reference outputs for this batch, so that a model that cannot run is found at once."""

    batch: int


class Prepared(Message, frozen=True):
    samples: int


class Evaluate(Message, frozen=True):
    candidate: Candidate


class Evaluated(Message, frozen=True):
    evaluation: Evaluation


class Progress(Message, frozen=True):
    """What the worker is doing now."""

    stage: Stage
    detail: str = ""


class Refused(Message, frozen=True):
    """The user must act: a UserError's message and hint."""

    message: str
    hint: str


Request = Open | Prepare | Evaluate
Reply = Opened | Prepared | Evaluated | Progress | Refused


def encode(message: Message) -> bytes:
    """The message as one line."""
    return wire.to_json(message) + b"\n"


def decode_request(line: bytes) -> Request:
    return _requests().decode(line)


def decode_reply(line: bytes) -> Reply:
    return _replies().decode(line)


@cache
def _requests() -> "msgspec.json.Decoder[Request]":
    return wire.decoder(Request)


@cache
def _replies() -> "msgspec.json.Decoder[Reply]":
    return wire.decoder(Reply)
