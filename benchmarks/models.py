"""Real networks with random weights and dynamic batch: `python -m benchmarks.models FOLDER NAME ...`.

Needs PyTorch and torchvision, which the project itself does not. `bert` is an encoder of BERT-base's size.
"""

import sys
import warnings
from pathlib import Path
from typing import Any

NAMES = ("resnet50", "mobilenet_v3_large", "efficientnet_b0", "bert")
SEED = 0
LAYERS, HIDDEN, HEADS, VOCABULARY, SEQUENCE = 12, 768, 12, 30522, 128


def export(name: str, folder: Path) -> Path:
    """Writes NAME.onnx: input `input` of batch x 3 x 224 x 224, or batch x 128 tokens; output `output`."""
    import torch
    import torchvision

    torch.manual_seed(SEED)
    if name == "bert":
        model, example = _bert(), torch.randint(0, VOCABULARY, (1, SEQUENCE))
    else:
        model, example = getattr(torchvision.models, name)(weights=None), torch.randn(1, 3, 224, 224)
    model.eval()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.onnx"
    arguments: dict[str, Any] = {
        "input_names": ["input"],
        "output_names": ["output"],
        "dynamic_axes": {"input": {0: "batch"}, "output": {0: "batch"}},
        "opset_version": 17,
        "dynamo": False,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (example,), str(path), **arguments)
    return path


def _bert() -> Any:
    """Post-norm encoder layers over token and position embeddings, as in BERT; the hidden states come out.

    Weights are Xavier's, which keeps activations near 1 through all layers.
    """
    from torch import nn

    class Attention(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.query, self.key, self.value, self.out = (nn.Linear(HIDDEN, HIDDEN) for _ in range(4))

        def forward(self, x: Any) -> Any:
            query, key, value = (
                part(x).view(-1, SEQUENCE, HEADS, HIDDEN // HEADS).transpose(1, 2)
                for part in (self.query, self.key, self.value)
            )
            scores = query @ key.transpose(-1, -2) / (HIDDEN // HEADS) ** 0.5
            joined = (scores.softmax(-1) @ value).transpose(1, 2).reshape(-1, SEQUENCE, HIDDEN)
            return self.out(joined)

    class Layer(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.attention, self.norms = Attention(), nn.ModuleList(nn.LayerNorm(HIDDEN) for _ in range(2))
            self.feed = nn.Sequential(nn.Linear(HIDDEN, 4 * HIDDEN), nn.GELU(), nn.Linear(4 * HIDDEN, HIDDEN))

        def forward(self, x: Any) -> Any:
            x = self.norms[0](x + self.attention(x))
            return self.norms[1](x + self.feed(x))

    class Encoder(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.tokens = nn.Embedding(VOCABULARY, HIDDEN)
            self.places = nn.Parameter(0.1 * nn.init.normal_(nn.Embedding(SEQUENCE, HIDDEN).weight.detach()))
            self.norm, self.layers = nn.LayerNorm(HIDDEN), nn.Sequential(*(Layer() for _ in range(LAYERS)))

        def forward(self, tokens: Any) -> Any:
            return self.layers(self.norm(self.tokens(tokens) + self.places))

    model = Encoder()
    for parameter in model.layers.parameters():
        if parameter.dim() == 2:
            nn.init.xavier_uniform_(parameter)
    return model


def main(folder: Path, names: list[str]) -> None:
    for name in names or NAMES:
        path = export(name, folder)
        print(f"{path}: {path.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), sys.argv[2:])
