import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest

from engines.data.dtypes import as_dtype, numpy_dtype


@pytest.mark.parametrize("name", ["float32", "bool", "int64", "bfloat16", "float8_e4m3fn", "int4"])
def test_a_type_is_found_by_its_name(name: str) -> None:
    assert numpy_dtype(name).name == name


def test_strings_are_unicode() -> None:
    assert numpy_dtype("string").kind == "U"
    texts = np.array(["a", "bc"])
    assert as_dtype(texts, "string") is texts
    assert as_dtype(np.zeros(2), "string") is None


def _in_a_fresh_process(code: str) -> str:
    command = [sys.executable, "-c", f"import sys; from engines.data.dtypes import numpy_dtype; {code}"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


def test_ml_dtypes_is_loaded_when_a_type_needs_it() -> None:
    assert _in_a_fresh_process("assert 'ml_dtypes' not in sys.modules; numpy_dtype('bfloat16')") == ""


def test_without_ml_dtypes_its_types_are_refused_with_the_command() -> None:
    said = _in_a_fresh_process("sys.modules['ml_dtypes'] = None; numpy_dtype('bfloat16')")
    assert said.splitlines()[-1] == (
        "engines.core.errors.UserError: the type bfloat16 needs the ml_dtypes package. "
        "Install it: pip install ml_dtypes."
    )


def test_values_of_another_type_are_not_taken() -> None:
    assert as_dtype(np.zeros(2, np.float64), "float32") is None
    assert as_dtype(np.zeros(2, np.int32), "int64") is None
    assert as_dtype(np.zeros(2, np.uint16), "bfloat16") is None


def test_another_byte_order_is_made_native() -> None:
    array = as_dtype(np.array([1.5], ">f4"), "float32")
    assert array is not None
    assert array.dtype == np.dtype("f4")
    assert array[0] == np.float32(1.5)


def test_bytes_without_a_type_are_taken_for_an_extension_type_as_wide() -> None:
    stored = np.array([1.5, 2.0], ml_dtypes.bfloat16).view("V2")
    array = as_dtype(stored, "bfloat16")
    assert array is not None
    assert array.astype(float).tolist() == [1.5, 2.0]
    assert as_dtype(stored, "float8_e4m3fn") is None
