"""What is said of a trial while it runs, by its stage."""

from collections.abc import Mapping

from engines.core.values import Stage

DOING: Mapping[Stage, str] = {
    "prepare": "preparing",
    "graph": "making the graph",
    "build": "building the engine",
    "load": "loading the engine",
    "check": "checking the outputs",
    "warm-up": "warming up",
    "wait": "waiting for another tuner to leave the GPU",
    "measure": "measuring",
}
