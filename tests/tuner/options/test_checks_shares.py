"""Shares as people write them."""

import pytest

from tuner.options.checks import parse_share


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("1%", 0.01),
        ("0.5%", 0.005),
        (" 2 % ", 0.02),
        (".5%", 0.005),
        ("3.%", 0.03),
        ("0.01", 0.01),
        ("0", 0.0),
        ("0%", 0.0),
        ("1", 1.0),
    ],
)
def test_a_share_is_read_with_and_without_its_sign(text: str, share: float) -> None:
    assert parse_share(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["", "%", "one", "1%%", "-1%", "1,5%", "1e-2", "nan", "inf", "."])
def test_invalid_share_is_none(text: str) -> None:
    assert parse_share(text) is None
