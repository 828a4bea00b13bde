"""Trains a small network on scikit-learn's handwritten digits: `python examples/digits.py FOLDER`.

Writes digits.onnx, digits.npz (held-out images with their labels) and digits-calibration.npz (images that it
was trained on). `accuracy` is the task's own measure of what the network says, to be given to a search as
`--metric examples/digits.py:accuracy`. Two of its activations are squared ReLUs (D. So and others, Primer,
2021) of channels that differ as much as folded batch normalization leaves them (M. Nagel and others,
Data-Free Quantization, 2019): int8 costs it about two of a hundred images, and most of them come back when
the one convolution that suffers most stays in FP32.
"""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Array = NDArray[np.float32]


class Convolution(NamedTuple):
    """Of 3x3, with a ReLU behind it; with a `spread`, that is squared, and channels differ by that factor."""

    inputs: int
    outputs: int
    stride: int = 1
    spread: int = 0

    @property
    def power(self) -> int:
        return 2 if self.spread else 1


CONVOLUTIONS = (
    Convolution(1, 16),
    Convolution(16, 48, stride=2, spread=16),
    Convolution(48, 48),
    Convolution(48, 48, spread=4),
    Convolution(48, 48),
    Convolution(48, 48),
    Convolution(48, 64, stride=2),
)
CLASSES = 10
HELD_OUT = 600
CALIBRATION = 256
EPOCHS = 8
BATCH = 32
RATE = 2e-3


def accuracy(inputs: Mapping[str, NDArray[Any]], outputs: Mapping[str, NDArray[Any]]) -> float:
    """The share of images whose highest logit is that of their label."""
    return float(np.mean(outputs["logits"].argmax(axis=1) == inputs["labels"]))


def digits() -> tuple[Array, NDArray[np.int64]]:
    """The 1797 images as Nx1x8x8 from 0 to 2, and their labels, shuffled."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    order = np.random.default_rng(0).permutation(len(bunch.target))
    images = (bunch.images[order, np.newaxis] / 8).astype(np.float32)
    return images, bunch.target[order].astype(np.int64)


def train(images: Array, labels: NDArray[np.int64]) -> list[Array]:
    """Weights and biases of the convolutions, then of the last layer, by Adam on the cross-entropy."""
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    # products this small take longer with several threads, many times so on a busy machine
    with threadpool_limits(1):
        return uneven(_trained(images, labels))


def uneven(weights: list[Array]) -> list[Array]:
    """Weights of the same function, but with channels made smaller, and what reads them larger."""
    made = [one.copy() for one in weights]
    for layer, convolution in enumerate(CONVOLUTIONS):
        if convolution.spread:
            # powers of two change no digit
            exponents = np.round(np.linspace(0, 1, convolution.outputs) ** 2 * np.log2(convolution.spread))
            factors = np.exp2(exponents).astype(np.float32)
            made[2 * layer] /= factors[:, np.newaxis, np.newaxis, np.newaxis]
            made[2 * layer + 1] /= factors
            made[2 * layer + 2] *= factors[:, np.newaxis, np.newaxis] ** convolution.power
    return made


def model(weights: list[Array]) -> onnx.ModelProto:
    """The network as ONNX, with a dynamic batch."""
    nodes, x = [], "images"
    tensors = [numpy_helper.from_array(one, f"w{index}") for index, one in enumerate(weights)]
    tensors.append(numpy_helper.from_array(np.array(2, np.float32), "two"))
    for layer, (_, _, stride, spread) in enumerate(CONVOLUTIONS):
        operands = [x, f"w{2 * layer}", f"w{2 * layer + 1}"]
        shape = {"kernel_shape": [3, 3], "strides": [stride] * 2, "pads": [1] * 4}
        nodes.append(helper.make_node("Conv", operands, [f"c{layer}"], name=f"conv{layer}", **shape))
        nodes.append(helper.make_node("Relu", [f"c{layer}"], [f"r{layer}"], name=f"relu{layer}"))
        x = f"r{layer}"
        if spread:
            # not as a Mul, whose output would be in 8 bits even before a convolution that is kept in FP32
            nodes.append(helper.make_node("Pow", [x, "two"], [f"s{layer}"], name=f"square{layer}"))
            x = f"s{layer}"
    last = 2 * len(CONVOLUTIONS)
    nodes.append(helper.make_node("Flatten", [x], ["features"], name="flatten"))
    nodes.append(
        helper.make_node("Gemm", ["features", f"w{last}", f"w{last + 1}"], ["logits"], name="classify")
    )
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", 1, 8, 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", CLASSES])],
        tensors,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(made)
    return made


def save(folder: Path) -> Path:
    """Trains, and writes the model and its images, held out and to calibrate with; gives the model's path."""
    folder.mkdir(parents=True, exist_ok=True)
    images, labels = digits()
    weights = train(images[HELD_OUT:], labels[HELD_OUT:])
    np.savez(folder / "digits.npz", images=images[:HELD_OUT], labels=labels[:HELD_OUT])
    np.savez(folder / "digits-calibration.npz", images=images[-CALIBRATION:])
    path = folder / "digits.onnx"
    path.write_bytes(model(weights).SerializeToString(deterministic=True))
    return path


def _trained(images: Array, labels: NDArray[np.int64]) -> list[Array]:
    random = np.random.default_rng(0)
    weights = _initial(random)
    first, second = ([np.zeros_like(one) for one in weights] for _ in range(2))
    steps = list(_batches(random, len(images)))
    for step, chosen in enumerate(steps, 1):
        rate = RATE * (1 - step / len(steps))
        gradients = _gradients(weights, images[chosen], labels[chosen])
        for one, gradient in enumerate(gradients):
            first[one] += 0.1 * (gradient - first[one])
            second[one] += 0.001 * (gradient**2 - second[one])
            size = np.sqrt(second[one] / (1 - 0.999**step)) + 1e-8
            weights[one] -= (rate * first[one] / (1 - 0.9**step) / size).astype(np.float32)
    return weights


def _initial(random: np.random.Generator) -> list[Array]:
    shapes: list[tuple[int, ...]] = []
    size = 8
    for inputs, outputs, stride, _ in CONVOLUTIONS:
        shapes += [(outputs, inputs, 3, 3), (outputs,)]
        size //= stride
    features = CONVOLUTIONS[-1].outputs * size * size
    shapes += [(features, CLASSES), (CLASSES,)]

    def scale(shape: tuple[int, ...]) -> float:
        fan_in = shape[0] if len(shape) == 2 else int(np.prod(shape[1:]))
        return float(np.sqrt(1 / fan_in)) if len(shape) > 1 else 0.0

    return [(random.normal(size=shape) * scale(shape)).astype(np.float32) for shape in shapes]


def _batches(random: np.random.Generator, count: int) -> Iterator[NDArray[np.int64]]:
    for _ in range(EPOCHS):
        order = random.permutation(count)
        yield from (order[start : start + BATCH] for start in range(0, count, BATCH))


def _gradients(weights: list[Array], images: Array, labels: NDArray[np.int64]) -> list[Array]:
    """Of the mean cross-entropy, for each weight and bias."""
    x, kept = images, []
    for convolution, kernel, bias in zip(CONVOLUTIONS, weights[::2], weights[1::2], strict=False):
        columns = _columns(x, convolution.stride)
        positive, before = np.maximum(_convolved(columns, kernel, bias), 0), x
        kept.append((before.shape, columns, positive))
        x = positive**convolution.power
    features = x.reshape(len(x), -1)
    logits = features @ weights[-2] + weights[-1]
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    error = shares / shares.sum(axis=1, keepdims=True)
    error[np.arange(len(labels)), labels] -= 1
    error /= len(labels)
    gradients = [features.T @ error, error.sum(axis=0)]
    error = (error @ weights[-2].T).reshape(x.shape)
    for layer, convolution in reversed(list(enumerate(CONVOLUTIONS))):
        (shape, columns, positive), kernel = kept[layer], weights[2 * layer]
        error = error * (2 * positive if convolution.spread else positive > 0)
        gradients[:0] = [
            np.tensordot(error, columns, ((0, 2, 3), (0, 1, 2))).reshape(kernel.shape),
            error.sum(axis=(0, 2, 3)),
        ]
        error = _joined(
            np.tensordot(error, kernel.reshape(len(kernel), -1), (1, 0)), shape, convolution.stride
        )
    return gradients


def _columns(x: Array, stride: int) -> Array:
    """Each 3x3 window as a row, NxHxWxK (im2col)."""
    padded = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = sliding_window_view(padded, (3, 3), axis=(2, 3))[:, :, ::stride, ::stride]
    count, _, height, width = windows.shape[:4]
    return windows.transpose(0, 2, 3, 1, 4, 5).reshape(count, height, width, -1)


def _convolved(columns: Array, kernel: Array, bias: Array) -> Array:
    return (columns @ kernel.reshape(len(kernel), -1).T + bias).transpose(0, 3, 1, 2)


def _joined(columns: Array, shape: tuple[int, ...], stride: int) -> Array:
    """The gradient of what the windows were cut from: the sum of the rows that each value is in (col2im)."""
    count, channels, height, width = shape
    padded = np.zeros((count, channels, height + 2, width + 2), np.float32)
    rows, lines = columns.shape[1:3]
    windows = columns.reshape(count, rows, lines, channels, 3, 3).transpose(0, 3, 4, 5, 1, 2)
    for row in range(3):
        for line in range(3):
            target = padded[:, :, row : row + rows * stride : stride, line : line + lines * stride : stride]
            target += windows[:, :, row, line]
    return padded[:, :, 1:-1, 1:-1]


def main() -> None:
    """Writes the files and prints the model's path and size."""
    parser = argparse.ArgumentParser(description="Trains a small network on handwritten digits.")
    parser.add_argument("folder", type=Path)
    path = save(parser.parse_args().folder)
    print(f"{path}  {path.stat().st_size / 1024:,.0f} KiB")


if __name__ == "__main__":
    main()
