from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from victor.errors import CircuitOpenError, ProviderRateLimitError, ProviderServerError
from victor.providers.scripted import Call, MockLLM, Reply
from victor.types import CompletionResponse, Message, ToolCall, ToolDefinition, Usage

HI = [Message(role="user", content="Hi")]
CALL = ToolCall(id="c1", name="add", arguments={"a": 1})
TOOL = ToolDefinition(name="add")


async def _streamed(llm: MockLLM, **options: Any) -> CompletionResponse:
    chunks = [chunk async for chunk in llm.stream(HI, **options)]
    assert [chunk.is_final for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    final = chunks[-1]
    return CompletionResponse(
        content="".join(chunk.content for chunk in chunks),
        tool_calls=final.tool_calls,
        stop_reason=final.stop_reason,
        usage=final.usage,
        model=final.model,
        reasoning="".join(chunk.reasoning for chunk in chunks) or None,
        provider_state=final.provider_state,
    )


WHOLE = CompletionResponse(
    content="ok",
    tool_calls=[CALL],
    stop_reason="length",
    reasoning="hm",
    model="m-1",
    provider_state={"openai-chat": {"x": 1}},
)


@pytest.mark.parametrize(
    ("reply", "content", "calls", "stop"),
    [
        ("Hello there", "Hello there", None, "stop"),
        ("", "", None, "stop"),
        ("  two\n\n lines\t", "  two\n\n lines\t", None, "stop"),
        (" ", " ", None, "stop"),
        (CALL, "", [CALL], "tool_calls"),
        ([CALL, CALL], "", [CALL, CALL], "tool_calls"),
        ((CALL,), "", [CALL], "tool_calls"),
        ([], "", None, "stop"),
        (lambda messages: messages[-1].content.upper(), "HI", None, "stop"),
        (lambda messages: [CALL], "", [CALL], "tool_calls"),
        (WHOLE, "ok", [CALL], "length"),
    ],
    ids=["text", "empty text", "white space", "blank", "call", "calls", "tuple", "no calls",
         "function", "function that calls", "response"],
)  # fmt: skip
async def test_a_reply_is_the_answer_whole_and_streamed(
    reply: Reply, content: str, calls: list[ToolCall] | None, stop: str
) -> None:
    llm = MockLLM([reply])
    for answer in (await llm.chat(HI), await _streamed(llm)):
        assert (answer.content, answer.tool_calls, answer.stop_reason) == (content, calls, stop)


async def test_a_whole_response_is_played_with_everything_in_it() -> None:
    llm = MockLLM([WHOLE])
    answer = await llm.chat(HI)
    assert answer.model_copy(update={"attempts": ()}) == WHOLE
    assert [attempt.error for attempt in answer.attempts] == [None]
    assert await _streamed(llm) == WHOLE


async def test_without_replies_there_is_one_text() -> None:
    for llm in (MockLLM(), MockLLM([])):
        answer = await llm.chat(HI, model="m")
        assert answer.content == "Mock response"
        assert answer.model == "m"
        assert answer.usage == Usage(prompt_tokens=10, completion_tokens=5, total_tokens=15)


async def test_replies_come_in_turn_and_then_again() -> None:
    llm = MockLLM(["a", "b"])
    assert [(await llm.chat(HI)).content for _ in range(3)] == ["a", "b", "a"]
    assert llm.call_count == 3
    llm.reset()
    assert llm.call_count == 0
    assert (await _streamed(llm)).content == "a"


async def test_every_request_is_kept_failed_ones_included() -> None:
    llm = MockLLM([ProviderServerError("down"), "ok"])
    with pytest.raises(ProviderServerError, match="down"):
        await llm.chat(HI, model="m1", tools=[TOOL], seed=7, timeout=5)
    await _streamed(llm)
    assert llm.calls == [
        Call(tuple(HI), "m1", (TOOL,), options={"seed": 7}),
        Call(tuple(HI), "mock", stream=True),
    ]


async def test_an_error_reaches_the_test_at_once_and_is_retried_on_request() -> None:
    limit = ProviderRateLimitError("slow down")
    llm = MockLLM([limit, "ok"])
    with pytest.raises(ProviderRateLimitError):
        await llm.chat(HI)
    llm = MockLLM([limit, limit, "ok"], max_retries=2, retry_delay=0.0)
    assert (await llm.chat(HI)).content == "ok"
    assert llm.call_count == 3
    llm.reset()
    assert (await _streamed(llm)).content == "ok"


async def test_it_is_guarded_like_any_provider() -> None:
    llm = MockLLM([ProviderServerError("down")])
    for _ in range(5):
        with pytest.raises(ProviderServerError):
            await llm.chat(HI)
    with pytest.raises(CircuitOpenError):
        await llm.chat(HI)
    assert llm.call_count == 5


async def test_a_function_that_returns_a_function_is_refused() -> None:
    def reply(messages: Sequence[Message]) -> Reply:
        return reply

    with pytest.raises(TypeError, match="not another function"):
        await MockLLM([reply]).chat(HI)


async def test_a_function_may_fail() -> None:
    def reply(messages: Sequence[Message]) -> Reply:
        return ProviderServerError("returned")

    with pytest.raises(ProviderServerError, match="returned"):
        await MockLLM([reply]).chat(HI)


async def test_it_says_what_it_can_do() -> None:
    async with MockLLM() as llm:
        assert llm.name == llm.default_model == "mock"
        assert "tools" in await llm.discover_capabilities("mock")
        assert "streaming" in await llm.discover_capabilities("mock")
