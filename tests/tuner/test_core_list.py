import pytest

from tuner.core_list import format_cores, parse_cores


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        ("0", (0,)),
        ("0-3", (0, 1, 2, 3)),
        ("8, 0-1,1", (0, 1, 8)),
        ("", None),
        ("1,", None),
        ("-1", None),
        ("3-1", None),
        ("0-99999", None),
    ],
)
def test_cores_are_read_as_taskset_reads_them(text: str, cores: tuple[int, ...] | None) -> None:
    assert parse_cores(text) == cores
    if cores is not None:
        assert parse_cores(format_cores(cores)) == cores
