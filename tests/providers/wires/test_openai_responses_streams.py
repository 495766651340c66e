from __future__ import annotations

from typing import Any

import pytest

from tests.providers.wires.responses_bodies import (
    Json,
    call,
    event,
    read_stream,
    response,
    said,
    thought,
    wire,
)
from victor.errors import (
    ContentFilterError,
    ProviderConnectionError,
    ProviderError,
    ProviderInvalidResponseError,
    ProviderQuotaError,
    ProviderServerError,
)
from victor.types import StreamChunk, Usage

CREATED = event("created", response=response(status="in_progress", model="acme-1"))


def delta(kind: str, text: Any, index: Any = 0, **more: Any) -> bytes:
    return event(f"{kind}.delta", delta=text, output_index=index, **more)


def text(value: Any, index: Any = 0) -> bytes:
    return delta("output_text", value, index, item_id="msg_1", content_index=0)


def completed(*output: Any, **more: Any) -> bytes:
    return event("completed", response=response(*output, **more))


def added(item: Json, index: Any = 0) -> bytes:
    return event("output_item.added", item=item, output_index=index)


def done(item: Json, index: Any = 0) -> bytes:
    return event("output_item.done", item=item, output_index=index)


def brief(final: StreamChunk) -> list[tuple[str, str, Json]]:
    return [(one.id, one.name, one.arguments) for one in final.tool_calls or []]


def test_a_stream_is_text_and_then_one_final_chunk() -> None:
    chunks, final = read_stream(
        CREATED,
        event("in_progress", response=response(status="in_progress")),
        added(said("")),
        event("content_part.added", part={"type": "output_text", "text": ""}),
        text("Hel"),
        text("lo"),
        event("output_text.done", text="Hello"),
        done(said("Hello")),
        completed(said("Hello"), usage={"input_tokens": 1, "output_tokens": 2}, model="acme-2"),
    )
    assert [chunk.content for chunk in chunks] == ["Hel", "lo"]
    assert final == StreamChunk(
        stop_reason="stop",
        usage=Usage(prompt_tokens=1, completion_tokens=2, total_tokens=3),
        is_final=True,
        model="acme-2",
    )


@pytest.mark.parametrize(
    "kind",
    ["reasoning_summary_text", "reasoning_text", "reasoning_summary", "reasoning"],
)
def test_thinking_is_reasoning_whatever_its_name(kind: str) -> None:
    item = thought("Hmm", encrypted_content="sealed")
    chunks, final = read_stream(
        delta(kind, "H"),
        delta(kind, "mm"),
        delta(kind, ""),
        delta(kind, None),
        text("x", 1),
        completed(item, said("x")),
    )
    assert [(chunk.reasoning, chunk.content) for chunk in chunks] == [
        ("H", ""),
        ("mm", ""),
        ("", "x"),
    ]
    state = {"provider": "acme", "items": [item, said("x")]}
    assert final.provider_state == {"openai-responses": state}


def test_a_refusal_is_text_with_the_stop_reason_of_a_filter() -> None:
    parts = [{"type": "refusal", "refusal": "I cannot."}]
    chunks, final = read_stream(
        delta("refusal", "I "),
        delta("refusal", "cannot."),
        delta("refusal", None),
        completed({"type": "message", "content": parts}),
    )
    assert [chunk.content for chunk in chunks] == ["I ", "cannot."]
    assert final.stop_reason == "content_filter"


def test_calls_show_their_fragments_and_come_whole_at_the_end() -> None:
    chunks, final = read_stream(
        added(call(arguments="")),
        delta("function_call_arguments", '{"a"', item_id="fc_1"),
        delta("function_call_arguments", ":1}", item_id="fc_1"),
        event("function_call_arguments.done", arguments='{"a":1}', item_id="fc_1"),
        done(call()),
        completed(call()),
    )
    assert [chunk.tool_call_delta for chunk in chunks] == ["add", '{"a"', ":1}"]
    assert brief(final) == [("c1", "add", {"a": 1})]
    assert final.stop_reason == "tool_calls"


TWO = [call(), call("now", "{}", "c2", id="fc_2")]
BEGUN = [{**item, "arguments": ""} for item in TWO]


@pytest.mark.parametrize(
    "events",
    [
        [done(TWO[0]), done(TWO[1], 1)],
        [done(TWO[1], 1), done(TWO[0])],
        [done(TWO[0], None), done(TWO[1], None)],
        [done({**TWO[0], "id": None}, None), done({**TWO[1], "id": None}, None)],
        [done(TWO[0]), done(TWO[1])],
        [added(BEGUN[0]), done(TWO[0]), added(BEGUN[1]), done(TWO[1])],
        [added(BEGUN[0]), added(BEGUN[1], 1), done(TWO[0]), done(TWO[1], 1)],
        [added({**BEGUN[0], "id": "r1"}), done({**TWO[0], "id": "r2"}), done(TWO[1], 1)],
        [done(TWO[0]), done(TWO[0]), done(TWO[1], 1)],
        [
            added(BEGUN[0]),
            added(BEGUN[1], 1),
            delta("function_call_arguments", "{}", 1),
            delta("function_call_arguments", '{"a":', 0),
            delta("function_call_arguments", "1}", 0),
        ],
        [
            added(BEGUN[0]),
            added(BEGUN[1], 0),
            delta("function_call_arguments", '{"a":1}', None, item_id="fc_1"),
            delta("function_call_arguments", "{}", None, item_id="fc_2"),
            done(BEGUN[0], None),
            done(BEGUN[1], None),
        ],
        [
            added({"type": "function_call", "call_id": "c1", "name": "add"}, None),
            delta("function_call_arguments", '{"a":1}', None),
            event("function_call_arguments.done", arguments=None),
            added({"type": "function_call", "call_id": "c2", "name": "now"}, None),
        ],
    ],
    ids=[
        "items",
        "out of order",
        "no index",
        "no id, no index",
        "index 0 for all",
        "index 0 for all, begun",
        "side by side",
        "ids that change",
        "told twice",
        "fragments by index",
        "fragments by id",
        "fragments by order",
    ],
)
@pytest.mark.parametrize("end", [completed(), completed(said("")), b"[DONE]"])
def test_calls_are_found_where_the_last_event_does_not_have_them(
    events: list[bytes], end: bytes
) -> None:
    _, final = read_stream(*events, end)
    assert brief(final) == [("c1", "add", {"a": 1}), ("c2", "now", {})]
    assert final.stop_reason == "tool_calls"


def test_a_call_may_come_in_one_event_without_an_item() -> None:
    _, final = read_stream(
        event("function_call_arguments.done", item_id="fc_9", name="add", arguments='{"a":1}'),
        completed(),
    )
    assert brief(final) == [("fc_9", "add", {"a": 1})]


def test_a_custom_call_is_put_together_from_its_text() -> None:
    item = {"type": "custom_tool_call", "id": "ct", "call_id": "c", "name": "sql", "input": ""}
    chunks, final = read_stream(
        added(item),
        delta("custom_tool_call_input", "SEL", item_id="ct"),
        delta("custom_tool_call_input", "ECT", item_id="ct"),
        event("custom_tool_call_input.done", item_id="ct", input="SELECT"),
        completed(),
    )
    assert [chunk.tool_call_delta for chunk in chunks] == ["sql", "SEL", "ECT"]
    assert brief(final) == [("c", "sql", {"input": "SELECT"})]


def test_the_work_of_a_servers_own_tool_is_a_sign_of_life() -> None:
    chunks, final = read_stream(
        event("web_search_call.searching"),
        delta("code_interpreter_call_code", "print"),
        delta("mcp_call_arguments", {}),
        delta("audio", "AAAA"),
        event("mcp_call.failed", error="the tool broke"),
        text("x"),
        completed(said("x")),
    )
    assert [(chunk.tool_call_delta, chunk.content) for chunk in chunks] == [
        ("print", ""),
        ("", "x"),
    ]
    assert final.tool_calls is None


@pytest.mark.parametrize(
    ("streamed", "late"), [([], "Hello"), (["He"], "llo"), (["Hello"], ""), (["Bye"], "")]
)
def test_what_had_no_delta_comes_with_the_last_event(streamed: list[str], late: str) -> None:
    chunks, final = read_stream(
        *[text(piece) for piece in streamed], completed(thought("Hm."), said("Hello"))
    )
    assert "".join(chunk.content for chunk in chunks) == "".join(streamed) + late
    assert "".join(chunk.reasoning for chunk in chunks) == "Hm."
    assert (final.content, final.reasoning) == ("", "")


def test_text_that_only_an_item_or_the_response_has_is_text() -> None:
    chunks, _ = read_stream(done(said("Hi")), completed())
    assert [chunk.content for chunk in chunks] == ["Hi"]
    chunks, _ = read_stream(completed(output_text="Hi"))
    assert [chunk.content for chunk in chunks] == ["Hi"]


def test_an_empty_last_response_loses_nothing_that_came_before() -> None:
    items = [thought("Hm.", encrypted_content="sealed"), said("Hi")]
    _, final = read_stream(done(items[0], 0), text("Hi", 1), done(items[1], 1), completed())
    assert final.provider_state == {"openai-responses": {"provider": "acme", "items": items}}


@pytest.mark.parametrize(
    ("last", "stop"),
    [
        (completed(said("x")), "stop"),
        (event("completed"), "stop"),
        (event("completed", response=3), "stop"),
        (event("done", response=response(said("x"), status=None)), "stop"),
        (event("cancelled", response=response(said("x"), status="cancelled")), "other"),
        (event("incomplete", response={"incomplete_details": {"reason": "length"}}), "length"),
        (event("incomplete"), "other"),
        (b"[DONE]", "stop"),
    ],
    ids=["whole", "bare", "odd", "done", "cancelled", "length", "incomplete", "[DONE]"],
)
def test_a_stream_ends_with_a_terminal_event(last: bytes, stop: str) -> None:
    stream = wire().stream_decoder(model="asked")
    stream.feed(CREATED)
    stream.feed(text("x"))
    before = stream.done
    assert stream.feed(last) is None
    assert (before, stream.done) == (False, True)
    assert stream.finish().stop_reason == stop


def test_what_follows_the_end_is_not_read() -> None:
    stream = wire().stream_decoder(model="asked")
    stream.feed(text("x"))
    stream.feed(completed(said("x")))
    assert stream.feed(b"[DONE]") is None
    assert stream.feed(b"nonsense") is None
    assert stream.feed(event("error", error={"message": "late"})) is None
    assert stream.finish().stop_reason == "stop"


@pytest.mark.parametrize(
    "events",
    [[], [CREATED], [text("x")], [text("x"), done(said("x"))], [done(call())], [b" "]],
    ids=["nothing", "created", "text", "item", "call", "blank"],
)
def test_a_stream_that_breaks_off_is_never_an_answer(events: list[bytes]) -> None:
    with pytest.raises(ProviderConnectionError, match="stream of acme ended before") as caught:
        read_stream(*events)
    assert caught.value.model == "asked"


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (
            b'{"type":"error","error":{"code":"insufficient_quota","message":"m"}}',
            ProviderQuotaError,
        ),
        (b'{"type":"error","code":"insufficient_quota","message":"m"}', ProviderQuotaError),
        (b'{"error":{"code":"insufficient_quota","message":"m"}}', ProviderQuotaError),
        (b'{"type":"response.error","error":{"code":"insufficient_quota"}}', ProviderQuotaError),
        (b'[{"error":{"code":"insufficient_quota"}}]', ProviderQuotaError),
        (
            event("failed", response=response(status="failed", error={"code": "server_error"})),
            ProviderServerError,
        ),
        (event("failed"), ProviderServerError),
        (event("failed", error={"code": "insufficient_quota"}), ProviderQuotaError),
        (event("created", response={"error": {"code": "server_error"}}), ProviderServerError),
        (b'{"detail":"no"}', ProviderError),
    ],
    ids=[
        "wrapped",
        "flat",
        "no type",
        "other type",
        "array",
        "failed",
        "bare",
        "beside",
        "created",
        "detail",
    ],
)
def test_an_error_in_the_stream_is_typed(data: bytes, error: type[ProviderError]) -> None:
    stream = wire().stream_decoder(model="asked")
    stream.feed(text("x"))
    with pytest.raises(error, match="in the stream"):
        stream.feed(data)


@pytest.mark.parametrize("data", [b"{", b"3", b"[DONE] and more", b'"[DONE]"', b"<html>"])
def test_an_event_that_is_not_the_protocols_is_an_error(data: bytes) -> None:
    with pytest.raises(ProviderInvalidResponseError):
        wire().stream_decoder(model="asked").feed(data)


def test_done_within_text_is_text() -> None:
    chunks, _ = read_stream(text("[DONE]"), completed(said("[DONE]")))
    assert [chunk.content for chunk in chunks] == ["[DONE]"]


def test_an_empty_answer_is_an_error_and_a_filtered_one_another() -> None:
    with pytest.raises(ProviderInvalidResponseError, match="neither text nor tool calls"):
        read_stream(completed(thought("Hm.")))
    with pytest.raises(ContentFilterError):
        read_stream(
            event("incomplete", response={"incomplete_details": {"reason": "content_filter"}})
        )
