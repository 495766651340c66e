from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest

from victor.tool_calling.prompted import PROMPTED_FORMATS, PromptedAdapter
from victor.types import (
    Attachment,
    CompletionResponse,
    Message,
    StreamChunk,
    ToolCall,
    ToolDefinition,
    ToolExample,
    Usage,
)

_TOOL = ToolDefinition(
    name="find",
    description="Find a book.",
    parameters={
        "type": "object",
        "properties": {"title": {"type": "string"}, "year": {"type": "integer"}},
    },
    examples=(ToolExample(request="Find Emma.", arguments={"title": "Emma"}),),
)
_CALL = ToolCall(id="1", name="find", arguments={"title": "Emma", "year": 1815})


async def _stream(chunks: Sequence[StreamChunk]) -> AsyncIterator[StreamChunk]:
    for chunk in chunks:
        yield chunk


@pytest.mark.parametrize("name", PROMPTED_FORMATS)
def test_what_it_writes_it_reads(name: str) -> None:
    adapter = PromptedAdapter(name)
    asked = [
        Message(role="user", content="Find Emma."),
        Message(role="assistant", content="", tool_calls=[_CALL, _CALL]),
    ]
    step = adapter.prepare(asked, [_TOOL])
    assert step.offers_tools
    written = step.messages[-1]
    assert written.tool_calls is None
    found = adapter.parse_tool_calls(
        CompletionResponse(content=written.content, stop_reason="stop")
    )
    assert found.stop_reason == "tool_calls"
    assert [call.arguments for call in found.tool_calls or ()] == [_CALL.arguments] * 2
    assert found.content == ""


@pytest.mark.parametrize("name", [None, "kimi_k2", "hermes"])
def test_family_that_cannot_be_written_is_shown_hermes(name: str | None) -> None:
    assert PromptedAdapter(name).format == "hermes"


def test_prompt_shows_tools_syntax_and_examples() -> None:
    adapter = PromptedAdapter("qwen3_coder")
    system = Message(role="system", content="Be brief.")
    step = adapter.prepare([system, Message(role="user", content="hi")], [_TOOL])
    prompt = step.messages[0].content
    assert prompt.startswith("Be brief.\n\n")
    assert '"name":"find"' in prompt
    assert "<function=name-of-the-tool>" in prompt
    assert "<parameter=title>\nEmma\n</parameter>" in prompt
    assert [one.role for one in step.messages] == ["system", "user"]


def test_without_tools_nothing_is_added() -> None:
    asked = [Message(role="user", content="hi")]
    step = PromptedAdapter().prepare(asked, [])
    assert step.messages == asked
    assert not step.offers_tools


def test_results_of_one_turn_become_one_turn_of_the_user() -> None:
    image = Attachment(media_type="image/png", data=b"x")
    messages = [
        Message(role="user", content="Find two."),
        Message(role="assistant", content="Sure.", tool_calls=[_CALL]),
        Message(role="tool", content="1815", name="find", tool_call_id="1", attachments=[image]),
        Message(role="tool", content='say "hi" </tool_response>', tool_call_id="2"),
        Message(role="assistant", content="Done."),
    ]
    rewritten = PromptedAdapter().prepare(messages, [_TOOL]).messages
    assert [one.role for one in rewritten] == ["system", "user", "assistant", "user", "assistant"]
    assert rewritten[2].content.startswith("Sure.\n<tool_call>")
    assert rewritten[3].content.count("<tool_response>") == 2
    assert '{"name":"find","content":"1815"}' in rewritten[3].content
    assert rewritten[3].attachments == [image]


def test_plain_answer_stays_as_it_is() -> None:
    answer = CompletionResponse(content="Jane Austen.", stop_reason="stop")
    assert PromptedAdapter().parse_tool_calls(answer) == answer


def test_call_that_is_cut_off_keeps_the_reason_of_the_stop() -> None:
    answer = CompletionResponse(content='<tool_call>{"name": "find"', stop_reason="length")
    found = PromptedAdapter().parse_tool_calls(answer)
    assert found.stop_reason == "length"
    assert found.tool_calls is not None
    assert found.tool_calls[0].error is not None


def test_reasoning_the_template_opened_is_taken_out() -> None:
    adapter = PromptedAdapter("hermes", starts_in_reasoning=True)
    found = adapter.parse_tool_calls(CompletionResponse(content="hm</think>Yes."))
    assert (found.content, found.reasoning) == ("Yes.", "hm")
    split = adapter.parse_tool_calls(CompletionResponse(content="Yes.", reasoning="hm"))
    assert (split.content, split.reasoning) == ("Yes.", "hm")


async def test_stream_gives_text_at_once_and_the_calls_at_the_end() -> None:
    adapter = PromptedAdapter("qwen3_coder")
    adapter.prepare([Message(role="user", content="hi")], [_TOOL])
    text = "One moment. <tool_call>\n<function=find>\n<parameter=year>\n1815\n</parameter>\n"
    pieces = [text[at : at + 9] for at in range(0, len(text), 9)]
    chunks = [StreamChunk(piece) for piece in pieces]
    chunks.append(StreamChunk("</function>", stop_reason="stop", usage=Usage(), is_final=True))
    found = [chunk async for chunk in adapter.parse_stream(_stream(chunks))]
    assert "".join(chunk.content for chunk in found) == "One moment."
    assert [chunk.is_final for chunk in found] == [False] * len(pieces) + [True]
    assert all(chunk.content or chunk.tool_call_delta for chunk in found[:-1])
    final = found[-1]
    assert (final.stop_reason, final.usage) == ("tool_calls", Usage())
    assert [call.arguments for call in final.tool_calls or ()] == [{"year": 1815}]


async def test_stream_of_plain_text_has_no_calls() -> None:
    chunks = [StreamChunk("a "), StreamChunk("b", stop_reason="stop", is_final=True)]
    found = [chunk async for chunk in PromptedAdapter().parse_stream(_stream(chunks))]
    assert "".join(chunk.content for chunk in found) == "a b"
    assert (found[-1].tool_calls, found[-1].stop_reason) == (None, "stop")
