from __future__ import annotations

import pytest

import victor.tool_calling
from victor.tool_calling.adapter import (
    Step,
    ToolCallFormat,
    ToolCallingAdapter,
    ToolCallingCapabilities,
)
from victor.tool_calling.constrained import ConstrainedAdapter
from victor.types import Message


def test_public_names_are_those_of_the_modules() -> None:
    assert victor.tool_calling.ConstrainedAdapter is ConstrainedAdapter
    for name in ("ToolCallFormat", "ToolCallingAdapter", "ToolCallingCapabilities"):
        assert getattr(victor.tool_calling, name) is globals()[name]
    assert victor.tool_calling.__all__ == sorted(victor.tool_calling.__all__)


@pytest.mark.parametrize(
    ("name", "member"),
    [("native", ToolCallFormat.NATIVE), ("constrained", ToolCallFormat.CONSTRAINED)],
)
def test_format_is_its_string(name: str, member: ToolCallFormat) -> None:
    assert ToolCallFormat(name) is member
    assert f"{member}" == name


def test_capabilities_promise_nothing_by_default() -> None:
    plain = ToolCallingCapabilities(ToolCallFormat.NATIVE)
    assert (plain.parallel, plain.needs_json_schema) == (False, False)


def test_step_offers_tools_and_has_options_of_its_own() -> None:
    one, two = Step([Message(role="user", content="hi")]), Step([])
    assert one.offers_tools
    assert one.options == {}
    assert one.options is not two.options


def test_adapter_says_what_is_missing() -> None:
    class Half(ToolCallingAdapter):
        def convert_tools(self, tools: object) -> None:
            return None

    with pytest.raises(TypeError, match=r"parse_stream.*parse_tool_calls.*prepare"):
        Half()  # type: ignore[abstract] # that is the point


def test_constrained_adapter_says_what_it_needs() -> None:
    assert ConstrainedAdapter.capabilities == ToolCallingCapabilities(
        ToolCallFormat.CONSTRAINED, parallel=False, needs_json_schema=True
    )
