import sys
from pathlib import Path

import pytest

from engines.backends.registry import BACKENDS, choose_backend, open_backend, parse_backend
from engines.core.errors import UserError
from engines.core.values import Settings


def test_every_backend_has_its_contract_suite() -> None:
    suites = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")}
    assert {name.replace("-", "_") for name in BACKENDS} <= suites


def test_a_backend_is_named_with_its_options() -> None:
    assert parse_backend("fake") == ("fake", Settings())
    assert parse_backend("fake:seed=3,noise=0.5,faults=nan+wrong") == (
        "fake",
        Settings(seed=3, noise=0.5, faults="nan+wrong"),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("magic", "unknown backend 'magic'"),
        ("fake:seed", "cannot read the backend's options 'seed'"),
        ("fake:seed=1,noise=0.5,seed=1", "the backend's option 'seed' is given twice"),
    ],
)
def test_a_name_that_cannot_be_read_is_the_users_mistake(text: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        parse_backend(text)


def test_auto_takes_the_best_that_is_installed_and_says_why() -> None:
    name, why = choose_backend("auto", lambda: False)
    assert name == "onnxruntime"
    assert "tensorrt needs an NVIDIA GPU" in why or "tensorrt is not installed" in why


def test_a_backend_that_was_named_needs_no_reason() -> None:
    assert choose_backend("fake", lambda: False) == ("fake", "")


def test_a_missing_package_gives_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    # find_spec raises ValueError for a name that sys.modules blocks, as it does for a broken installation
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(UserError, match="needs the package 'onnxruntime'") as caught:
        choose_backend("onnxruntime", lambda: False)
    assert "pip install onnxruntime" in caught.value.hint
    with pytest.raises(UserError, match="no backend is installed"):
        choose_backend("auto", lambda: False)
    with pytest.raises(UserError, match="needs the package"):
        open_backend("onnxruntime", Settings(), Path())
