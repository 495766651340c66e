from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from victor.tool_calling.constrained import ConstrainedAdapter
from victor.types import (
    CompletionResponse,
    StreamChunk,
    ToolCall,
    Usage,
)

# --- what comes back ------------------------------------------------------------------------------


def parsed(written: str, stop_reason: str | None = "stop") -> CompletionResponse:
    answer = CompletionResponse(content=written, stop_reason=stop_reason, model="m")
    return ConstrainedAdapter().parse_tool_calls(answer)


def only(calls: Sequence[ToolCall] | None) -> ToolCall:
    assert calls is not None
    assert len(calls) == 1
    return calls[0]


def step_text(name: str, **arguments: Any) -> str:
    return json.dumps({"tool": name, "arguments": arguments})


@pytest.mark.parametrize("space", ["", " \n"], ids=["bare", "in-space"])
def test_call_is_moved_out_of_the_text(space: str) -> None:
    answer = parsed(space + step_text("read", path="a.txt") + space)
    call = only(answer.tool_calls)
    assert (call.name, call.arguments, call.error) == ("read", {"path": "a.txt"}, None)
    assert (answer.content, answer.stop_reason, answer.model) == ("", "tool_calls", "m")


def test_calls_have_ids_of_their_own() -> None:
    calls = [call for _ in range(2) for call in parsed(step_text("list_files")).tool_calls or ()]
    assert calls[0].id != calls[1].id


@pytest.mark.parametrize(
    ("written", "text"),
    [
        (step_text("answer", text='7 "is" 7\n'), '7 "is" 7\n'),
        ('{"arguments": {"text": "7"}, "tool": "answer"}', "7"),
        (step_text("answer"), ""),
        ('{"tool": "answer"}', ""),
        ('{"tool": "answer", "arguments": null}', ""),
        (step_text("answer", text=None), ""),
        (step_text("answer", text="7") + "\nand more", "7"),
        ("", ""),
        ("Hello!", "Hello!"),
        ("[1, 2]", "[1, 2]"),
        ("null", "null"),
        ('{"path": "a.txt"}', '{"path": "a.txt"}'),
        ('{"tool": 3}', '{"tool": 3}'),
        ('{"tool', '{"tool'),
    ],
    ids=[
        "answer",
        "other-order",
        "without-text",
        "without-arguments",
        "null-arguments",
        "null-text",
        "with-more-after-it",
        "empty",
        "words",
        "list",
        "null",
        "other-object",
        "odd-name",
        "nothing-yet",
    ],
)
def test_answer_and_whatever_is_no_call_are_text(written: str, text: str) -> None:
    answer = parsed(written)
    assert (answer.content, answer.tool_calls, answer.stop_reason) == (text, None, "stop")


WHOLE_CALL = step_text("read", path="a.txt")


@pytest.mark.parametrize("end", range(len('{"tool": "r'), len(WHOLE_CALL)))
def test_call_that_is_cut_off_cannot_run(end: int) -> None:
    written = WHOLE_CALL[:end]
    answer = parsed(written, "length")
    call = only(answer.tool_calls)
    assert call.error == "the call was cut off before its arguments were complete"
    assert (call.arguments, call.raw_arguments) == ({}, written)
    assert (answer.content, answer.stop_reason) == ("", "length")


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ('{"tool": "read", "arguments": ["a.txt"]}', "read"),
        ('{"tool": "read", "arguments": null}', "read"),
        ('{"tool": "read"}', "read"),
        ('{"tool": "", "arguments": {}}', "unknown"),
        ('{"tool": "', "unknown"),
    ],
    ids=["list", "null", "none", "nameless", "nameless-and-cut-off"],
)
def test_call_that_makes_no_sense_cannot_run(written: str, name: str) -> None:
    call = only(parsed(written).tool_calls)
    assert (call.name, call.arguments, call.raw_arguments) == (name, {}, written)
    assert call.error


ANSWER = 'He said "hi" \\ 😀 é\nend'
WRITTEN = [
    json.dumps({"tool": "answer", "arguments": {"text": ANSWER}}, ensure_ascii=ascii_only)
    for ascii_only in (True, False)
]


@pytest.mark.parametrize("written", WRITTEN, ids=["escaped", "plain"])
def test_answer_that_is_cut_off_keeps_its_text(written: str) -> None:
    texts = [
        parsed(written[:end], "length").content
        for end in range(len('{"tool": "answer"'), len(written) + 1)
    ]
    assert all(ANSWER.startswith(text) for text in texts)
    assert texts == sorted(texts, key=len)
    assert texts[-1] == texts[-3] == ANSWER
    assert len(set(texts)) == len(ANSWER) + 1


@pytest.mark.parametrize(
    ("stop", "of_a_call", "of_an_answer"),
    [
        ("stop", "tool_calls", "stop"),
        ("length", "length", "length"),
        ("content_filter", "content_filter", "content_filter"),
        (None, None, None),
    ],
    ids=str,
)
async def test_stop_reason_says_what_the_step_was(
    stop: str | None, of_a_call: str | None, of_an_answer: str | None
) -> None:
    for name, expected in (("read", of_a_call), ("answer", of_an_answer)):
        written = step_text(name, path="a", text="x")
        assert parsed(written, stop).stop_reason == expected
        final = (await streamed([written], stop))[-1]
        assert final.stop_reason == expected


# --- the stream -----------------------------------------------------------------------------------


async def source(pieces: Sequence[str], stop: str | None) -> AsyncIterator[StreamChunk]:
    for piece in pieces:
        yield StreamChunk(piece)
    yield StreamChunk(stop_reason=stop, is_final=True, model="m")


async def streamed(pieces: Sequence[str], stop: str | None = "stop") -> list[StreamChunk]:
    adapter = ConstrainedAdapter()
    return [chunk async for chunk in adapter.parse_stream(source(pieces, stop))]


@pytest.mark.parametrize("written", WRITTEN, ids=["escaped", "plain"])
async def test_answer_streams_while_it_is_written(written: str) -> None:
    chunks = await streamed(list(written))
    assert "".join(chunk.content for chunk in chunks) == ANSWER
    assert chunks[-1].content == ""
    assert sum(bool(chunk.content) for chunk in chunks) == len(ANSWER)


async def test_call_shows_signs_of_life_and_comes_whole_at_the_end() -> None:
    chunks = await streamed([WHOLE_CALL[:20], WHOLE_CALL[20:]])
    assert [chunk.tool_call_delta for chunk in chunks] == [WHOLE_CALL[:20], WHOLE_CALL[20:], ""]
    assert [chunk.is_final for chunk in chunks] == [False, False, True]
    call = only(chunks[-1].tool_calls)
    assert (call.name, call.arguments) == ("read", {"path": "a.txt"})
    assert all(chunk.tool_calls is None for chunk in chunks[:-1])


async def test_words_that_are_no_step_come_at_the_end() -> None:
    chunks = await streamed(["Hel", "lo!"])
    assert [chunk.content for chunk in chunks] == ["", "", "Hello!"]


async def test_thinking_passes_through_once() -> None:
    async def thinking() -> AsyncIterator[StreamChunk]:
        yield StreamChunk(reasoning="a")
        yield StreamChunk()
        written = step_text("answer", text="x")
        yield StreamChunk(written[:-1], "b")
        yield StreamChunk(
            written[-1], "c", usage=Usage(prompt_tokens=1), is_final=True, provider_state={"w": 1}
        )

    chunks = [chunk async for chunk in ConstrainedAdapter().parse_stream(thinking())]
    assert [(chunk.content, chunk.reasoning) for chunk in chunks] == [
        ("", "a"),
        ("x", "b"),
        ("", "c"),
    ]
    final = chunks[-1]
    assert (final.usage, final.provider_state) == (Usage(prompt_tokens=1), {"w": 1})
    assert final.is_final


async def test_failing_stream_fails_after_what_had_come() -> None:
    async def failing() -> AsyncIterator[StreamChunk]:
        yield StreamChunk('{"tool": "answer", "arguments": {"text": "half an')
        raise ConnectionError("gone")

    chunks = ConstrainedAdapter().parse_stream(failing())
    assert (await anext(chunks)).content == "half an"
    with pytest.raises(ConnectionError, match="gone"):
        await anext(chunks)
