from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.tools.mcp_support import WHY
from victor.tools.mcp_results import as_tool_result

types = pytest.importorskip("mcp_types", reason=WHY)

DATA = base64.b64encode(b"data").decode()


def result(*blocks: dict[str, Any], **fields: Any) -> Any:
    answer = types.CallToolResult.model_validate({"content": list(blocks), **fields})
    return as_tool_result(answer)


def resource(**fields: Any) -> dict[str, Any]:
    return {"type": "resource", "resource": {"uri": "file:///a", **fields}}


@pytest.mark.parametrize(
    ("block", "text", "attached"),
    [
        ({"type": "text", "text": "hello"}, "hello", []),
        (
            {"type": "image", "data": DATA, "mimeType": "image/png"},
            "[attached: image/png]",
            ["image/png"],
        ),
        ({"type": "image", "data": "?", "mimeType": "image/png"}, "not base64", []),
        ({"type": "image", "data": "", "mimeType": "image/png"}, "it is empty", []),
        ({"type": "image", "data": "A" * 7_000_000, "mimeType": "image/png"}, "than 5 MiB", []),
        ({"type": "audio", "data": DATA, "mimeType": "audio/wav"}, "audio left out", []),
        (resource(text="inside"), "[file:///a]\ninside", []),
        (resource(blob=DATA, mimeType="application/pdf"), "[attached", ["application/pdf"]),
        (resource(blob=DATA), "neither text nor an image", []),
        (
            {"type": "resource_link", "uri": "file:///b", "name": "b", "description": "a book"},
            "[resource b at file:///b: a book]",
            [],
        ),
    ],
    ids=lambda value: None,
)
def test_each_kind_of_content_is_shown_or_named(
    block: dict[str, Any], text: str, attached: list[str]
) -> None:
    found = result(block)
    assert text in found.content
    assert [one.media_type for one in found.attachments] == attached
    assert not found.is_error


def test_structured_content_is_shown_where_no_text_says_it() -> None:
    text = {"type": "text", "text": "42"}
    assert result(structuredContent={"a": 1}).content == '{"a":1}'
    assert result(text, structuredContent={"result": 42}).content == "42"


def test_an_error_of_the_tool_is_one_for_the_model() -> None:
    assert result(isError=True).content == "The tool failed."
    assert result({"type": "text", "text": "no"}, isError=True).is_error
    assert result().content == "Done."
