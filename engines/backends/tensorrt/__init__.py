"""TensorRT and TensorRT-RTX: one implementation over either module."""
