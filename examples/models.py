"""Makes the example models: `python examples/models.py FOLDER [NAME ...]`.

Small but real networks of random weights, the same bytes on every run. They need onnx and numpy, and nothing
is downloaded. Weights are scaled as for training, so that activations stay sane in FP16 and INT8 too.
"""

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8

VOCABULARY = 8000
POSITIONS = 512
CATEGORIES = 50
# times this, usual activations are larger than any FP16 number
BEYOND_HALF = 32768.0

Array = NDArray[np.generic]


class Graph:
    """A graph under construction: calling it adds one node and gives the name of its output."""

    def __init__(self, name: str, seed: int) -> None:
        self.name = name
        self.random = np.random.default_rng(seed)
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []

    def __call__(self, operator: str, *inputs: str, output: str | None = None, **attributes: object) -> str:
        output = output or f"{operator.lower()}_{len(self._nodes)}"
        name = f"{operator}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [output], name=name, **attributes))
        return output

    def weight(self, values: Array) -> str:
        """A weight of these values."""
        name = f"weight_{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(values, name))
        return name

    def normal(self, *shape: int, scale: float) -> str:
        """A weight from a normal distribution of mean 0."""
        return self.weight(self.random.normal(0, scale, shape).astype(np.float32))

    def uniform(self, *shape: int, low: float, high: float) -> str:
        """A weight from a uniform distribution."""
        return self.weight(self.random.uniform(low, high, shape).astype(np.float32))

    def integers(self, *values: int) -> str:
        """A constant vector of int64."""
        return self.weight(np.array(values, np.int64))

    def number(self, value: float) -> str:
        """A constant scalar of float32."""
        return self.weight(np.array(value, np.float32))

    def model(
        self, inputs: Sequence[onnx.ValueInfoProto], outputs: Sequence[onnx.ValueInfoProto]
    ) -> onnx.ModelProto:
        """The finished model, checked."""
        graph = helper.make_graph(self._nodes, self.name, inputs, outputs, self._weights)
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=IR_VERSION,
            producer_name="trt-tuner examples",
        )
        onnx.checker.check_model(model, full_check=True)
        return model


def residual_cnn() -> onnx.ModelProto:
    """An image classifier of seven residual blocks; its batch is dynamic."""
    graph = Graph("residual_cnn", seed=1)
    x = graph("Relu", _convolution(graph, "images", 3, 32, gain=1.0))
    for inputs, outputs in ((32, 32), (32, 32), (32, 64), (64, 64), (64, 128), (128, 128), (128, 128)):
        x = _residual_block(graph, x, inputs, outputs)
    x = graph("Flatten", graph("GlobalAveragePool", x))
    _dense(graph, x, 128, 10, output="logits")
    return graph.model(
        [_tensor("images", TensorProto.FLOAT, "batch", 3, 64, 64)],
        [_tensor("logits", TensorProto.FLOAT, "batch", 10)],
    )


def transformer() -> onnx.ModelProto:
    """A text classifier, a transformer encoder of three layers; batch and sequence are dynamic."""
    graph = Graph("transformer", seed=2)
    hidden, heads, layers, classes = 128, 4, 3, 16
    mask = graph("Cast", "attention_mask", to=TensorProto.FLOAT)
    x = _embedding(graph, hidden)
    bias = _attention_bias(graph, mask)
    for _ in range(layers):
        x = _layer_norm(graph, graph("Add", x, _attention(graph, x, bias, hidden, heads)), hidden)
        x = _layer_norm(graph, graph("Add", x, _feed_forward(graph, x, hidden)), hidden)
    _dense(graph, _masked_mean(graph, x, mask), hidden, classes, output="logits")
    return graph.model(
        [
            _tensor("input_ids", TensorProto.INT64, "batch", "sequence"),
            _tensor("attention_mask", TensorProto.INT64, "batch", "sequence"),
        ],
        [_tensor("logits", TensorProto.FLOAT, "batch", classes)],
    )


def mixed_types() -> onnx.ModelProto:
    """A model of several inputs and outputs: float, int32, int64 and bool."""
    graph = Graph("mixed_types", seed=3)
    gated = graph("Where", "gate", "features", graph.number(0.0))
    table = graph.normal(CATEGORIES, 16, scale=1.0)
    embedded = graph("Reshape", graph("Gather", table, "categories"), graph.integers(-1, 64))
    opened = graph("Cast", "gate", to=TensorProto.FLOAT)
    x = graph("Concat", gated, embedded, opened, axis=1)
    x = graph("Relu", _dense(graph, x, 16 + 64 + 16, 128))
    scores = _dense(graph, x, 128, 10, output="scores")
    graph("ArgMax", scores, output="label", axis=1, keepdims=0)
    graph("Greater", scores, graph.number(0.0), output="positive")
    return graph.model(
        [
            _tensor("features", TensorProto.FLOAT, "batch", 16),
            _tensor("categories", TensorProto.INT32, "batch", 4),
            _tensor("gate", TensorProto.BOOL, "batch", 16),
        ],
        [
            _tensor("scores", TensorProto.FLOAT, "batch", 10),
            _tensor("label", TensorProto.INT64, "batch"),
            _tensor("positive", TensorProto.BOOL, "batch", 10),
        ],
    )


def mlp() -> onnx.ModelProto:
    """Three dense layers; its batch is dynamic."""
    graph = Graph("mlp", seed=4)
    x = graph("Relu", _dense(graph, "features", 64, 256))
    x = graph("Relu", _dense(graph, x, 256, 256))
    _dense(graph, x, 256, 10, output="logits")
    return graph.model(
        [_tensor("features", TensorProto.FLOAT, "batch", 64)],
        [_tensor("logits", TensorProto.FLOAT, "batch", 10)],
    )


def overflow() -> onnx.ModelProto:
    """Dense layers, one of which has values that FP16 does not reach; its batch is dynamic.

    Its weights are large and those of the next layer as small, so in FP32 and BF16 nothing comes of it.
    """
    graph = Graph("overflow", seed=5)
    x = graph("Relu", _dense(graph, "features", 128, 1024))
    for _ in range(4):
        x = graph("Relu", _dense(graph, x, 1024, 1024))
    rows = graph("Reshape", x, graph.integers(0, 16, 64))
    large = graph("MatMul", rows, graph.normal(64, 64, scale=BEYOND_HALF * math.sqrt(2 / 64)))
    small = graph.normal(16, 16, scale=math.sqrt(1 / 16) / BEYOND_HALF)
    mixed = graph("MatMul", _heads(graph, large, 64, 4), small)
    x = graph("Relu", graph("Flatten", mixed))
    _dense(graph, x, 1024, 10, output="logits")
    return graph.model(
        [_tensor("features", TensorProto.FLOAT, "batch", 128)],
        [_tensor("logits", TensorProto.FLOAT, "batch", 10)],
    )


NAMES: Mapping[str, Callable[[], onnx.ModelProto]] = {
    "residual_cnn": residual_cnn,
    "transformer": transformer,
    "mixed_types": mixed_types,
    "mlp": mlp,
    "overflow": overflow,
}


def save(name: str, folder: Path) -> Path:
    """Writes the model of this name as NAME.onnx in the folder, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.onnx"
    path.write_bytes(NAMES[name]().SerializeToString(deterministic=True))
    return path


def _tensor(name: str, dtype: int, *shape: int | str) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, shape)


def _dense(graph: Graph, x: str, inputs: int, outputs: int, output: str | None = None) -> str:
    weight = graph.normal(inputs, outputs, scale=math.sqrt(2 / inputs))
    return graph("Gemm", x, weight, graph.normal(outputs, scale=0.1), output=output)


def _project(graph: Graph, x: str, inputs: int, outputs: int) -> str:
    weight = graph.normal(inputs, outputs, scale=math.sqrt(1 / inputs))
    return graph("Add", graph("MatMul", x, weight), graph.normal(outputs, scale=0.02))


def _convolution(
    graph: Graph, x: str, inputs: int, outputs: int, *, gain: float, kernel: int = 3, stride: int = 1
) -> str:
    weight = graph.normal(outputs, inputs, kernel, kernel, scale=math.sqrt(2 / (inputs * kernel * kernel)))
    x = graph("Conv", x, weight, kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[kernel // 2] * 4)
    scale = graph.uniform(outputs, low=0.8 * gain, high=1.2 * gain)
    bias, mean = graph.normal(outputs, scale=0.1), graph.normal(outputs, scale=0.1)
    return graph("BatchNormalization", x, scale, bias, mean, graph.uniform(outputs, low=0.8, high=1.2))


def _residual_block(graph: Graph, x: str, inputs: int, outputs: int) -> str:
    stride = 1 if inputs == outputs else 2
    inner = graph("Relu", _convolution(graph, x, inputs, outputs, gain=1.0, stride=stride))
    # a small gain on the branch keeps the sum of all branches from growing with every block
    inner = _convolution(graph, inner, outputs, outputs, gain=0.5)
    if inputs != outputs:
        x = _convolution(graph, x, inputs, outputs, gain=0.7, kernel=1, stride=stride)
    return graph("Relu", graph("Add", inner, x))


def _embedding(graph: Graph, hidden: int) -> str:
    tokens = graph("Gather", graph.normal(VOCABULARY, hidden, scale=0.5), "input_ids")
    length = graph("Gather", graph("Shape", "input_ids"), graph.weight(np.array(1, np.int64)), axis=0)
    zero, one = graph.weight(np.array(0, np.int64)), graph.weight(np.array(1, np.int64))
    places = graph("Gather", graph.normal(POSITIONS, hidden, scale=0.2), graph("Range", zero, length, one))
    return _layer_norm(graph, graph("Add", tokens, places), hidden)


def _layer_norm(graph: Graph, x: str, hidden: int) -> str:
    scale = graph.uniform(hidden, low=0.8, high=1.2)
    return graph("LayerNormalization", x, scale, graph.normal(hidden, scale=0.05), axis=-1)


def _attention_bias(graph: Graph, mask: str) -> str:
    # -10000 instead of infinity: it fits FP16, and a row that is masked whole gives no NaN
    masked = graph("Sub", graph.number(1.0), graph("Unsqueeze", mask, graph.integers(1, 2)))
    return graph("Mul", masked, graph.number(-1e4))


def _attention(graph: Graph, x: str, bias: str, hidden: int, heads: int) -> str:
    query, key, value = (_heads(graph, _project(graph, x, hidden, hidden), hidden, heads) for _ in range(3))
    key = graph("Transpose", key, perm=[0, 1, 3, 2])
    scores = graph("Mul", graph("MatMul", query, key), graph.number(math.sqrt(heads / hidden)))
    weights = graph("Softmax", graph("Add", scores, bias), axis=-1)
    joined = graph("Transpose", graph("MatMul", weights, value), perm=[0, 2, 1, 3])
    return _project(graph, graph("Reshape", joined, graph.integers(0, 0, hidden)), hidden, hidden)


def _heads(graph: Graph, x: str, hidden: int, heads: int) -> str:
    split = graph("Reshape", x, graph.integers(0, 0, heads, hidden // heads))
    return graph("Transpose", split, perm=[0, 2, 1, 3])


def _feed_forward(graph: Graph, x: str, hidden: int) -> str:
    x = _project(graph, x, hidden, 4 * hidden)
    share = graph("Add", graph("Erf", graph("Div", x, graph.number(math.sqrt(2)))), graph.number(1.0))
    gelu = graph("Mul", graph("Mul", x, share), graph.number(0.5))
    return _project(graph, gelu, 4 * hidden, hidden)


def _masked_mean(graph: Graph, x: str, mask: str) -> str:
    kept = graph("Mul", x, graph("Unsqueeze", mask, graph.integers(2)))
    total = graph("ReduceSum", kept, graph.integers(1), keepdims=0)
    count = graph("ReduceSum", mask, graph.integers(1), keepdims=1)
    return graph("Div", total, graph("Max", count, graph.number(1.0)))


def main() -> None:
    """Writes the models asked for, all when none is named, and prints each file with its size."""
    parser = argparse.ArgumentParser(description="Makes the example models.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="*", metavar="name", help=f"any of {', '.join(NAMES)}; default: all")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in NAMES]
    if unknown:
        parser.error(f"no model is named {unknown[0]}; known: {', '.join(NAMES)}")
    for name in arguments.names or NAMES:
        path = save(name, arguments.folder)
        print(f"{path}  {path.stat().st_size / 1024:,.0f} KiB")


if __name__ == "__main__":
    main()
