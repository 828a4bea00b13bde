"""TensorRT and TensorRT-RTX: one implementation over whichever module is given."""
