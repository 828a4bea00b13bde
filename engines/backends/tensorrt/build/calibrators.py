"""The calibrators of TensorRT 10: the builder asks them for batches and takes the ranges of INT8 from those.

What it found is kept in a file, so that the next build of the same network on the same data asks for none.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cuda.core import Device, StreamOptions
from numpy.typing import NDArray

from engines.backends.tensorrt.bindings.caches import CacheFile
from engines.backends.tensorrt.bindings.vendor import Vendor
from engines.backends.tensorrt.build.weak_typing import layers, outputs
from engines.backends.tensorrt.run.lane import Tensor
from engines.core.errors import EngineError, TunerError
from engines.core.values import Settings, Shape, Tensors, Value, Workload
from engines.core.wire import digest
from engines.data.calibration import calibration_batches, calibration_identity
from engines.shapes.plan import case_shapes

# both calibrate before layers are fused, so what one build found holds for any other of the same network
METHODS = {"entropy": "IInt8EntropyCalibrator2", "minmax": "IInt8MinMaxCalibrator"}


@dataclass(frozen=True)
class Source:
    """What ranges are found from: a method and the batches of these shapes; `cache` keeps them."""

    method: str
    shapes: Mapping[str, Shape]
    batches: Iterable[Tensors]
    cache: CacheFile


def source(folder: Path, vendor: Vendor, network: Any, workload: Workload, settings: Settings) -> Source:
    """The workload's calibration data, and the cache for this network in the folder.

    Raises EngineError for a method that TensorRT does not have.
    """
    method = str(settings.get("calibration", "entropy"))
    if method not in METHODS:
        raise EngineError(f"TensorRT has no calibrator for {method}", f"It has {', '.join(METHODS)}.")
    identity = [vendor.version, workload.model.digest, calibration_identity(workload), _tensors(network)]
    cache = CacheFile(folder / f"calibration-{method}-{digest(identity)[:16]}.cache")
    shapes = case_shapes(workload)
    return Source(method, shapes, calibration_batches(workload), cache)


@contextmanager
def calibrating(
    vendor: Vendor, builder: Any, config: Any, source: Source, device: int
) -> Iterator[Mapping[str, Value]]:
    """Gives the config a calibrator while it builds, and facts; raises what went wrong in the calibrator."""
    known = source.cache.read()
    feed = Feed(source.batches, device)
    try:
        _set_profile(builder, config, source.shapes)
        config.int8_calibrator = _calibrator(vendor, source, known, feed)
        yield {"calibration_cache": "warm" if known else "cold"}
    finally:
        feed.close()
        if feed.failure is not None:
            raise feed.failure


class Feed:
    """Batches in the memory of a device, one after another.

    `failure` is why they ended early, since the vendor's library takes an exception for their end.
    """

    def __init__(self, batches: Iterable[Tensors], device: int) -> None:
        self.failure: TunerError | None = None
        self._batches = iter(batches)
        self._device = Device(device)
        self._device.set_current()
        self._stream = self._device.create_stream(options=StreamOptions(nonblocking=True))
        self._tensors: dict[str, Tensor] = {}

    def next(self, names: Iterable[str]) -> list[int]:
        """The addresses of these inputs in the next batch; empty when there is none."""
        try:
            batch = next(self._batches, None)
            if batch is None and not self._tensors:
                raise EngineError("there is no calibration data")
            return [self._upload(name, batch[name]) for name in names] if batch else []
        except TunerError as error:
            self.failure = error
        except Exception as error:  # cuda.core's own, of which it promises no name
            self.failure = EngineError(f"cannot calibrate: {type(error).__name__}: {error}")
            self.failure.__cause__ = error
        return []

    def close(self) -> None:
        self._stream.sync()
        for tensor in self._tensors.values():
            tensor.close(self._stream)
        self._stream.sync()
        self._stream.close()

    def _upload(self, name: str, array: NDArray[Any]) -> int:
        if name not in self._tensors:
            self._tensors[name] = Tensor(name, array.shape, array.dtype, self._device, self._stream)
        tensor = self._tensors[name]
        tensor.host[...] = array
        tensor.device.copy_from(tensor.pinned, stream=self._stream)
        self._stream.sync()
        return int(tensor.device.handle)


def _calibrator(vendor: Vendor, source: Source, known: bytes, feed: Feed) -> Any:
    base = getattr(vendor.module, METHODS[source.method])

    class Calibrator(base):  # type: ignore[misc, valid-type]
        def __init__(self) -> None:
            base.__init__(self)

        def get_batch_size(self) -> int:
            # as trtexec says it; the calibration profile holds the shapes
            return 1

        def get_batch(self, names: list[str]) -> list[int]:
            return feed.next(names)

        def read_calibration_cache(self) -> bytes | None:
            return known or None

        def write_calibration_cache(self, cache: Any) -> None:
            # an end that came too early leaves ranges that are wrong
            if feed.failure is None:
                content = bytes(cache)
                source.cache.update(lambda _: content)

    return Calibrator()


def _set_profile(builder: Any, config: Any, shapes: Mapping[str, Shape]) -> None:
    """Dynamic shapes need one of their own, else batches would have to have the optimum of the engine's."""
    profile = builder.create_optimization_profile()
    for name, shape in shapes.items():
        profile.set_shape(name, shape, shape, shape)
    if not config.set_calibration_profile(profile):
        raise EngineError("the builder refused the calibration profile")


def _tensors(network: Any) -> list[str]:
    """The names of a network's tensors, which are what a cache knows ranges of."""
    return [tensor.name for layer in layers(network) for tensor in outputs(layer)]
