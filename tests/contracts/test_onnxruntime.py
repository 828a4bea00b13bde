from engines.backends.onnxruntime import OnnxRuntime
from tests.contracts.backend import BackendContract


class TestOnnxRuntime(BackendContract):
    name = OnnxRuntime.name
