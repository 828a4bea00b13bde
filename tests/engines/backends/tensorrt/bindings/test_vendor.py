import sys

import pytest

from engines.backends.tensorrt.bindings.vendor import Vendor, load_vendor
from engines.core.errors import UserError
from tests.engines.backends.tensorrt.fakes import enum, vendor


@pytest.fixture
def with_sources() -> Vendor:
    return vendor(
        TacticSource=enum("TacticSource", "CUBLAS", "EDGE", "JIT"),
        BuilderFlag=enum("BuilderFlag", "FP16", "TF32", "SPARSE_WEIGHTS", "STRIP_PLAN", "REFIT"),
        OnnxParserFlag=enum("OnnxParserFlag", "NATIVE_INSTANCENORM", "ADJUST_FOR_DLA"),
    )


def test_tactic_sources_go_by_name_and_reach_the_builder_as_bits(with_sources: Vendor) -> None:
    assert with_sources.tactic_mask(["CUBLAS", "JIT"]) == 0b101
    assert with_sources.tactic_names(0b110) == ("EDGE", "JIT")
    assert with_sources.tactic_names(0) == ()


def test_an_enum_that_a_version_lacks_has_no_members(with_sources: Vendor) -> None:
    assert with_sources.members("TilingOptimizationLevel") == ()


def test_flags_for_precision_and_for_other_runtimes_cannot_be_set(with_sources: Vendor) -> None:
    assert with_sources.builder_flags() == ("SPARSE_WEIGHTS", "REFIT")


def test_the_parsers_flags_are_those_for_plugins(with_sources: Vendor) -> None:
    assert with_sources.parser_flags() == ("NATIVE_INSTANCENORM",)
    rtx = vendor(is_rtx=True, OnnxParserFlag=with_sources.module.OnnxParserFlag)
    assert rtx.parser_flags() == ()


def test_only_rtx_ignores_what_it_takes(with_sources: Vendor) -> None:
    assert with_sources.honours("tactic_sources")
    assert not vendor(is_rtx=True).honours("tactic_sources")
    assert vendor(is_rtx=True).honours("max_aux_streams")


def test_a_library_that_cannot_be_loaded_is_the_users_to_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(UserError, match=r"tensorrt is installed but cannot be loaded: \w") as caught:
        load_vendor("tensorrt")
    assert "NVIDIA driver" in caught.value.hint
