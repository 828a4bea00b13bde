"""What all who run ONNX Runtime's CPU share: its provider, and its errors as ours."""

import re
from collections.abc import Callable
from typing import Any

from engines.core.errors import EngineError

PROVIDERS = ["CPUExecutionProvider"]


def translated(call: Callable[[], Any]) -> Any:
    """What the call gives; ONNX Runtime's exceptions become EngineError."""
    try:
        return call()
    except (MemoryError, OSError):
        raise
    except Exception as error:
        text = one_line(error)
        kind = "out_of_memory" if "bad_alloc" in text or "Failed to allocate memory" in text else "refused"
        raise EngineError(text, kind=kind) from error


def one_line(error: Exception) -> str:
    """ONNX Runtime's message without its codes and line breaks."""
    text = " ".join(str(error).split())
    return re.sub(r"^\[ONNXRuntimeError\] : \d+ : (\w+ : )?", "", text) or type(error).__name__
