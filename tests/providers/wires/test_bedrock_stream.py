from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.providers.test_eventstream import event, frame
from victor.config.catalog import Vendor
from victor.errors import (
    ContentFilterError,
    ContextWindowExceededError,
    ProviderConnectionError,
    ProviderError,
    ProviderInvalidRequestError,
    ProviderInvalidResponseError,
    ProviderOverloadedError,
    ProviderRateLimitError,
    ProviderServerError,
)
from victor.providers.wires.bedrock.stream import ConverseStream
from victor.providers.wires.bedrock.wire import BedrockConverse
from victor.types import StreamChunk, Usage

MODEL = "us.amazon.nova-2-lite-v1:0"
START = {"messageStart": {"role": "assistant", "p": "abc"}}
USAGE = {"metadata": {"usage": {"inputTokens": 3, "outputTokens": 4, "totalTokens": 7}, "p": "ab"}}


def delta(index: object, **what: Any) -> dict[str, Any]:
    return {"contentBlockDelta": {"contentBlockIndex": index, "delta": what, "p": "abcd"}}


def begin(index: object, **what: Any) -> dict[str, Any]:
    return {"contentBlockStart": {"contentBlockIndex": index, "start": what}}


def end(index: int) -> dict[str, Any]:
    return {"contentBlockStop": {"contentBlockIndex": index}}


def stop(reason: object = "end_turn") -> dict[str, Any]:
    return {"messageStop": {"stopReason": reason}}


def reader() -> ConverseStream:
    return ConverseStream(provider="bedrock", model=MODEL)


def read(*events: object) -> tuple[list[StreamChunk], StreamChunk]:
    stream = reader()
    fed = [stream.feed(json.dumps(one).encode()) for one in events]
    return [chunk for chunk in fed if chunk], stream.finish()


def test_texts_come_as_they_are_written_and_figures_at_the_end() -> None:
    events = [START, delta(0, text="Hel"), delta(0, text="lo"), end(0), stop(), USAGE]
    chunks, final = read(*events)
    assert [chunk.content for chunk in chunks] == ["Hel", "lo"]
    assert (final.is_final, final.content, final.stop_reason) == (True, "", "stop")
    assert final.usage == Usage(prompt_tokens=3, completion_tokens=4, total_tokens=7)
    assert (final.model, final.provider_state, final.tool_calls) == (MODEL, None, None)


@pytest.mark.parametrize("last", [[stop(), USAGE], [USAGE, stop()]], ids=["last", "first"])
def test_a_stream_is_done_once_reason_and_figures_have_come(last: list[object]) -> None:
    stream = reader()
    for one in [START, delta(0, text="x"), last[0]]:
        stream.feed(json.dumps(one).encode())
        assert not stream.done
    stream.feed(json.dumps(last[1]).encode())
    assert stream.done
    assert stream.feed(json.dumps(delta(0, text="late")).encode()) is None
    assert stream.finish().usage is not None


def test_figures_may_be_missing_and_the_reason_may_not() -> None:
    assert read(delta(0, text="x"), stop())[1].usage is None
    for events in ([], [START, delta(0, text="x"), end(0)], [delta(0, text="x"), USAGE]):
        with pytest.raises(ProviderConnectionError, match="ended before"):
            read(*events)


def test_calls_are_put_together_by_the_index_of_their_block() -> None:
    chunks, final = read(
        delta(0, text="Let me see."),
        begin(1, toolUse={"toolUseId": "c1", "name": "add"}),
        begin(2, toolUse={"toolUseId": "c2", "name": "now"}),
        delta(1, toolUse={"input": '{"a":'}),
        delta(2, toolUse={"input": ""}),
        delta(1, toolUse={"input": "1}"}),
        end(1),
        stop("tool_use"),
        USAGE,
    )
    calls = [(one.id, one.name, one.arguments) for one in final.tool_calls or ()]
    assert calls == [("c1", "add", {"a": 1}), ("c2", "now", {})]
    assert final.stop_reason == "tool_calls"
    assert [one.tool_call_delta for one in chunks] == ["", "add", "now", '{"a":', "1}"]
    assert final.provider_state is None


def test_an_index_that_is_used_again_is_another_call() -> None:
    final = read(
        begin(0, toolUse={"toolUseId": "c1", "name": "a"}),
        delta(0, toolUse={"input": '{"n": 1}'}),
        begin(0, toolUse={"toolUseId": "c2", "name": "b"}),
        delta(0, toolUse={"input": '{"n": 2}'}),
        stop("tool_use"),
    )[1]
    assert [(one.name, one.arguments) for one in final.tool_calls or ()] == [
        ("a", {"n": 1}),
        ("b", {"n": 2}),
    ]


def test_blocks_without_an_index_follow_one_another() -> None:
    chunks, final = read(
        {"contentBlockDelta": {"delta": {"text": "Well. "}}},
        {"contentBlockStart": {"start": {"toolUse": {"toolUseId": "c1", "name": "a"}}}},
        {"contentBlockDelta": {"delta": {"toolUse": {"input": {"n": 1}}}}},
        stop("tool_use"),
    )
    assert chunks[0].content == "Well. "
    assert [(one.name, one.arguments) for one in final.tool_calls or ()] == [("a", {"n": 1})]


def test_reasoning_is_streamed_and_kept_with_its_signature() -> None:
    chunks, final = read(
        delta(0, reasoningContent={"text": "Hm"}),
        delta(0, reasoningContent={"text": "m."}),
        delta(0, reasoningContent={"signature": "c2"}),
        delta(0, reasoningContent={"signature": "ln"}),
        end(0),
        delta(1, text="Yes"),
        delta(1, text="."),
        stop(),
        USAGE,
    )
    assert [chunk.reasoning for chunk in chunks if chunk.reasoning] == ["Hm", "m."]
    told = {"text": "Hmm.", "signature": "c2ln"}
    blocks = [{"reasoningContent": {"reasoningText": told}}, {"text": "Yes."}]
    assert final.provider_state == {
        "bedrock": {"provider": "bedrock", "model": MODEL, "blocks": blocks}
    }


def test_unsigned_reasoning_is_streamed_and_not_kept() -> None:
    chunks, final = read(delta(0, reasoningContent={"text": "Hm."}), delta(1, text="x"), stop())
    assert [chunk.reasoning for chunk in chunks] == ["Hm.", ""]
    assert final.provider_state is None


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        (["YWI="], "YWI="),
        (["YWI=", "Y2Q="], base64.b64encode(b"abcd").decode()),
        (["YWI", "jZA=="], "YWIjZA=="),
    ],
    ids=["one", "padded pieces", "cut anywhere"],
)
def test_redacted_reasoning_is_kept(parts: list[str], whole: str) -> None:
    pieces = [delta(0, reasoningContent={"redactedContent": part}) for part in parts]
    final = read(*pieces, delta(1, text="x"), stop())[1]
    assert final.provider_state is not None
    kept = final.provider_state["bedrock"]["blocks"][0]
    assert kept == {"reasoningContent": {"redactedContent": whole}}


def test_what_the_servers_ran_is_kept_and_is_no_call() -> None:
    ran = {"toolUseId": "s1", "name": "nova_code_interpreter", "type": "server_tool_use"}
    result = {"toolUseId": "s1", "type": "nova_code_interpreter_result", "status": "success"}
    chunks, final = read(
        begin(0, toolUse=ran),
        delta(0, toolUse={"input": '{"snippet": "1+1"}'}),
        begin(1, toolResult=result),
        delta(1, toolResult=[{"json": {"stdOut": "2"}}]),
        delta(2, text="2"),
        stop(),
    )
    assert [chunk.content for chunk in chunks] == ["2"]
    assert final.tool_calls is None
    assert final.provider_state is not None
    assert final.provider_state["bedrock"]["blocks"] == [
        {"toolUse": {**ran, "input": {"snippet": "1+1"}}},
        {"toolResult": {**result, "content": [{"json": {"stdOut": "2"}}]}},
        {"text": "2"},
    ]


def test_citations_are_kept_with_their_text() -> None:
    chunks, final = read(
        delta(0, text="It is so."), delta(0, citation={"title": "T"}), stop(), USAGE
    )
    assert [chunk.content for chunk in chunks] == ["It is so."]
    assert final.provider_state is not None
    cited = {"content": [{"text": "It is so."}], "citations": [{"title": "T"}]}
    assert final.provider_state["bedrock"]["blocks"] == [{"citationsContent": cited}]


def test_a_router_s_choice_is_the_model_that_answered() -> None:
    routed = {"trace": {"promptRouter": {"invokedModelId": "arn:chosen"}}, **USAGE["metadata"]}
    assert read(delta(0, text="x"), stop(), {"metadata": routed})[1].model == "arn:chosen"


def test_a_filter_after_some_text_is_a_reason_and_before_any_an_error() -> None:
    assert read(delta(0, text="x"), stop("guardrail_intervened"))[1].stop_reason == "content_filter"
    with pytest.raises(ContentFilterError):
        read(stop("content_filtered"))


def test_an_empty_stream_is_an_error() -> None:
    with pytest.raises(ProviderInvalidResponseError, match="neither text nor tool calls"):
        read(START, delta(0, text=""), end(0), stop(), USAGE)


def test_a_second_beginning_is_an_error() -> None:
    with pytest.raises(ProviderInvalidResponseError, match="begins twice"):
        read(START, delta(0, text="x"), START)


@pytest.mark.parametrize(
    ("name", "message", "kind"),
    [
        ("throttlingException", "Too many tokens, please wait.", ProviderRateLimitError),
        ("modelStreamErrorException", "It broke.", ProviderServerError),
        ("internalServerException", "Try again.", ProviderServerError),
        ("serviceUnavailableException", "Not now.", ProviderOverloadedError),
        ("validationException", "The field x is wrong.", ProviderInvalidRequestError),
        ("validationException", "Input is too long for the model.", ContextWindowExceededError),
        ("somethingNewException", "What?", ProviderError),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_exceptions_become_typed_errors(name: str, message: str, kind: type[ProviderError]) -> None:
    payload = json.dumps({"message": message}).encode()
    body = frame({":message-type": "exception", ":exception-type": name}, payload)
    (framed,) = BedrockConverse(Vendor("bedrock", None)).splitter().feed(body)
    for one in (framed, json.dumps({name: {"message": message}}).encode()):
        with pytest.raises(kind, match="sent an error in the stream") as caught:
            reader().feed(one)
        assert message in str(caught.value)


def test_a_wire_splits_and_reads_frames() -> None:
    wire = BedrockConverse(Vendor("bedrock", None))
    splitter, stream = wire.splitter(), wire.stream_decoder(model=MODEL)
    body = b"".join(
        event(name, payload)
        for one in [START, delta(0, text="Hi"), end(0), stop(), USAGE]
        for name, payload in one.items()
    )
    chunks = [
        chunk
        for at in range(0, len(body), 7)
        for data in splitter.feed(body[at : at + 7])
        if (chunk := stream.feed(data))
    ]
    assert [chunk.content for chunk in chunks] == ["Hi"]
    assert stream.done
    assert wire.stream_type == "application/vnd.amazon.eventstream"


def test_blank_data_is_nothing_and_no_json_is_an_error() -> None:
    assert reader().feed(b" ") is None
    for data in (b"{", b"5", b'{"a":' * 5000):
        with pytest.raises(ProviderInvalidResponseError):
            reader().feed(data)


NAMES = ["contentBlockDelta", "contentBlockStart", "messageStop", "metadata", "new"]
KEYS = ["delta", "start", "contentBlockIndex", "text", "toolUse", "toolResult", "input", "type"]
KEYS += ["reasoningContent", "redactedContent", "signature", "citation", "usage", "stopReason"]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 3) | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(events=st.lists(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=2), max_size=6))
@settings(max_examples=200)
def test_any_events_are_read_or_are_a_typed_error(events: list[dict[str, Any]]) -> None:
    try:
        final = read(*events, delta(9, text="x"), stop())[1]
    except ProviderError:
        return
    assert final.is_final
    json.dumps(final.provider_state)
