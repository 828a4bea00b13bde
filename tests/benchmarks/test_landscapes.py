"""The recording of real networks, as far as it goes without a GPU."""

import argparse
from pathlib import Path

import pytest

from benchmarks import landscapes
from tuner.commands import record

ARGUMENTS = argparse.Namespace(
    backend="tensorrt-rtx",
    candidates=300,
    passes=4,
    warm_up="50ms",
    duration="200ms",
    limit="10m",
    at_once=3,
    suffix="-h200",
    fix=["streams=1"],
)


@pytest.mark.parametrize("one", list(landscapes.recordings(Path("all"), (), ())), ids=lambda one: one.name)
def test_every_landscape_is_recorded_by_a_command_of_ours(one: landscapes.Recording) -> None:
    _, *typed = landscapes.command_of(one, Path("all"), ARGUMENTS)
    options = record.command.make_context("record", typed).params
    assert options["output"] == Path(f"all/{one.name}-h200.json.gz")
    assert (options["warm_up"], options["duration"], options["timeout"]) == (0.05, 0.2, 600.0)
    names = [fixed.partition("=")[0] for fixed in one.fixed]
    assert len(names) == len(set(names))
    assert options["fix"] == (*one.fixed, "streams=1")
    assert options["together"]


def test_one_at_a_time_tells_device_memory() -> None:
    one, *_ = landscapes.recordings(Path("all"), ["bert"], ())
    alone = argparse.Namespace(**{**vars(ARGUMENTS), "at_once": 1})
    assert "--together" not in landscapes.command_of(one, Path("all"), alone)


def test_each_network_is_recorded_for_each_aim_in_a_workspace_of_its_own() -> None:
    found = list(landscapes.recordings(Path("all"), ["bert", "resnet50"], ()))
    assert [one.name for one in found[:3]] == ["bert-b1", "bert-b8", "bert-throughput"]
    assert len({landscapes.workspace_of(one, Path("all")) for one in found}) == len(found) == 6


def test_some_aims_may_be_recorded_apart_from_the_others() -> None:
    found = landscapes.recordings(Path("all"), ["bert", "resnet50"], ["throughput"])
    assert [one.name for one in found] == ["bert-throughput", "resnet50-throughput"]
