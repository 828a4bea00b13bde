"""What calibrators give over real bindings is tested in tests/contracts/test_tensorrt_weak_typing.py."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engines.core.errors import EngineError
from engines.core.values import InputSource, Settings, Value, Workload
from tests.engines.backends.tensorrt.fakes import vendor
from tests.workloads import file_at, tiny_conv, workload_of

pytest.importorskip("cuda.core")

from engines.backends.tensorrt.build import calibrators


@pytest.fixture
def workload(tmp_path: Path) -> Workload:
    return workload_of(tiny_conv(tmp_path), x=(2, 3, 12, 12))


def _network(*tensors: str) -> Any:
    layers = [
        SimpleNamespace(num_outputs=1, get_output=lambda index, name=name: SimpleNamespace(name=name))
        for name in tensors
    ]
    return SimpleNamespace(num_layers=len(layers), get_layer=lambda index: layers[index])


def _source(workload: Workload, *tensors: str, **settings: Value) -> calibrators.Source:
    return calibrators.source(Path(), vendor(), _network(*tensors), workload, Settings(settings))


def test_a_cache_belongs_to_a_method_a_model_its_tensors_and_the_data(workload: Workload) -> None:
    other = replace(workload, model=replace(workload.model, file=file_at("m.onnx", "another")))
    sources = [
        _source(workload, "c", calibration="entropy"),
        _source(workload, "c", calibration="minmax"),
        _source(workload, "c", "r", calibration="entropy"),
        _source(other, "c", calibration="entropy"),
        _source(replace(workload, calibration=InputSource(file=file_at("a.npz", "1"))), "c"),
    ]
    assert len({source.cache.path for source in sources}) == len(sources)


def test_what_is_allowed_besides_int8_shares_the_cache(workload: Workload) -> None:
    paths = {_source(workload, "c", precision=name).cache.path for name in ("weak_int8", "weak_best")}
    assert len(paths) == 1


def test_batches_are_those_of_the_data_at_the_optimum_shapes(workload: Workload, tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=np.arange(4 * 3 * 12 * 12, dtype=np.float32).reshape(4, 3, 12, 12))
    given = replace(workload, calibration=InputSource(file=file_at(str(tmp_path / "data.npz"), "1")))
    source = _source(given)
    assert source.shapes == {"x": (2, 3, 12, 12)}
    assert [float(batch["x"].flat[0]) for batch in source.batches] == [0, 2 * 3 * 12 * 12]


def test_a_method_that_tensorrt_has_not_is_refused(workload: Workload) -> None:
    with pytest.raises(EngineError, match="TensorRT has no calibrator for percentile") as caught:
        _source(workload, calibration="percentile")
    assert caught.value.hint == "It has entropy, minmax."
