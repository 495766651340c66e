from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.providers.replay import read_stream
from victor.config.catalog import Vendor, WireName
from victor.errors import ContentFilterError, ProviderInvalidResponseError
from victor.providers.protocols import wire_for
from victor.types import CompletionResponse, Usage

Json = dict[str, Any]
ABSENT: Any = object()


@dataclass(frozen=True)
class Answer:
    """What a model answers, in words of no protocol."""

    texts: tuple[str, ...] = ()
    calls: tuple[Any, ...] = ()
    """The arguments of calls of the tool `f`, as the protocol has them."""
    stop: Any = None
    usage: Json | None = None


def _named(arguments: Any, **own: Any) -> Json:
    return own if arguments is ABSENT else {**own, "arguments": arguments}


def _chat(answer: Answer) -> Json:
    content = [{"type": "text", "text": text} for text in answer.texts]
    calls = [
        {"id": f"c{at}", "function": _named(one, name="f")} for at, one in enumerate(answer.calls)
    ]
    message = {"role": "assistant", "content": content or None, "tool_calls": calls or None}
    choice = {"index": 0, "message": message, "finish_reason": answer.stop}
    return {"choices": [choice], "usage": answer.usage}


def _responses(answer: Answer) -> Json:
    parts = [{"type": "output_text", "text": text} for text in answer.texts]
    output: list[Json] = [{"type": "message", "content": parts}] if parts else []
    output += [
        _named(one, type="function_call", call_id=f"c{at}", name="f")
        for at, one in enumerate(answer.calls)
    ]
    why: Json = {"status": "completed"}
    if answer.stop != "completed":
        why = {"status": "incomplete", "incomplete_details": {"reason": answer.stop}}
    return {"object": "response", **why, "output": output, "usage": answer.usage}


def _anthropic(answer: Answer) -> Json:
    content: list[Json] = [{"type": "text", "text": text} for text in answer.texts]
    for at, one in enumerate(answer.calls):
        given = {} if one is ABSENT else {"input": one}
        content.append({"type": "tool_use", "id": f"c{at}", "name": "f", **given})
    return {"type": "message", "content": content, "stop_reason": answer.stop, **_used(answer)}


def _used(answer: Answer) -> Json:
    return {} if answer.usage is None else {"usage": answer.usage}


def _gemini(answer: Answer) -> Json:
    parts: list[Json] = [{"text": text} for text in answer.texts]
    for one in answer.calls:
        given = {} if one is ABSENT else {"args": one}
        parts.append({"functionCall": {"name": "f", **given}})
    candidate = {"content": {"parts": parts}, "finishReason": answer.stop}
    usage = {} if answer.usage is None else {"usageMetadata": answer.usage}
    return {"candidates": [candidate], **usage}


def _bedrock(answer: Answer) -> Json:
    content: list[Json] = [{"text": text} for text in answer.texts]
    for at, one in enumerate(answer.calls):
        given = {} if one is ABSENT else {"input": one}
        content.append({"toolUse": {"toolUseId": f"c{at}", "name": "f", **given}})
    message = {"role": "assistant", "content": content}
    return {"output": {"message": message}, "stopReason": answer.stop, **_used(answer)}


def _cohere(answer: Answer) -> Json:
    content = [{"type": "text", "text": text} for text in answer.texts]
    calls = [
        {"id": f"c{at}", "function": _named(one, name="f")} for at, one in enumerate(answer.calls)
    ]
    message = {"content": content, "tool_calls": calls}
    return {"message": message, "finish_reason": answer.stop, **_used(answer)}


def _ollama(answer: Answer) -> Json:
    calls = [{"function": _named(one, name="f")} for one in answer.calls]
    message = {"role": "assistant", "content": "".join(answer.texts), "tool_calls": calls}
    return {"message": message, "done": True, "done_reason": answer.stop, **(answer.usage or {})}


@dataclass(frozen=True)
class Protocol:
    """How one protocol says the things that were decided."""

    name: WireName
    body: Callable[[Answer], Json]
    stop: str
    length: str
    filtered: str | None
    """Its reason for a filtered answer; None where it has none."""
    failed: str | None
    usage: Json
    """9 tokens of prompt, 2 of them from a cache, and 5 of answer."""
    counted: Usage
    text_arguments: bool
    """Whether arguments are JSON text; else they are objects."""
    joins: bool = True
    """Whether an answer may have several texts."""


PROTOCOLS = (
    Protocol(
        "openai-chat", _chat, "stop", "length", "content_filter", "error",
        {"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 2},
         "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 3}},
        Usage(prompt_tokens=9, completion_tokens=5, total_tokens=14, cached_tokens=2,
              reasoning_tokens=3),
        text_arguments=True,
    ),
    Protocol(
        "openai-responses", _responses, "completed", "max_output_tokens", "content_filter", None,
        {"input_tokens": 9, "input_tokens_details": {"cached_tokens": 2},
         "output_tokens": 5, "output_tokens_details": {"reasoning_tokens": 3}},
        Usage(prompt_tokens=9, completion_tokens=5, total_tokens=14, cached_tokens=2,
              reasoning_tokens=3),
        text_arguments=True,
    ),
    Protocol(
        "anthropic", _anthropic, "end_turn", "max_tokens", "refusal", "error",
        {"input_tokens": 6, "cache_read_input_tokens": 2, "cache_creation_input_tokens": 1,
         "output_tokens": 5, "output_tokens_details": {"thinking_tokens": 3}},
        Usage(prompt_tokens=9, completion_tokens=5, total_tokens=14, cached_tokens=2,
              cache_write_tokens=1, reasoning_tokens=3),
        text_arguments=False,
    ),
    Protocol(
        "gemini", _gemini, "STOP", "MAX_TOKENS", "SAFETY", None,
        {"promptTokenCount": 8, "toolUsePromptTokenCount": 1, "cachedContentTokenCount": 2,
         "candidatesTokenCount": 2, "thoughtsTokenCount": 3},
        Usage(prompt_tokens=9, completion_tokens=5, total_tokens=14, cached_tokens=2,
              reasoning_tokens=3),
        text_arguments=False,
    ),
    Protocol(
        "bedrock", _bedrock, "end_turn", "max_tokens", "guardrail_intervened", "error",
        {"inputTokens": 6, "cacheReadInputTokens": 2, "cacheWriteInputTokens": 1,
         "outputTokens": 5},
        Usage(prompt_tokens=9, completion_tokens=5, total_tokens=14, cached_tokens=2,
              cache_write_tokens=1),
        text_arguments=False,
    ),
    Protocol(
        "cohere", _cohere, "COMPLETE", "MAX_TOKENS", "ERROR_TOXIC", "ERROR",
        {"tokens": {"input_tokens": 9, "output_tokens": 5}, "cached_tokens": 2,
         "billed_units": {"input_tokens": 1, "output_tokens": 1}},
        Usage(prompt_tokens=9, completion_tokens=5, total_tokens=14, cached_tokens=2),
        text_arguments=True,
    ),
    Protocol(
        "ollama", _ollama, "stop", "length", None, None,
        {"prompt_eval_count": 9, "eval_count": 5, "eval_duration": 7},
        Usage(prompt_tokens=9, completion_tokens=5, total_tokens=14),
        text_arguments=False, joins=False,
    ),
)  # fmt: skip
each = pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda one: one.name)
filters = pytest.mark.parametrize(
    "protocol", [one for one in PROTOCOLS if one.filtered], ids=lambda one: one.name
)


def read(protocol: Protocol, answer: Answer) -> CompletionResponse:
    wire = wire_for(Vendor("acme", "https://acme.test", wire=protocol.name))
    body = json.dumps(protocol.body(answer)).encode()
    found = wire.decode(body, model="m")
    if wire.stream_type == "text/event-stream":
        # A server that cannot stream: what it sends instead comes to the same.
        again = read_stream(wire, "m", [body])
        assert (again.content, again.stop_reason, again.usage) == (
            found.content,
            found.stop_reason,
            found.usage,
        )
    return found


@each
def test_the_figures_include_what_was_cached_and_thought(protocol: Protocol) -> None:
    found = read(protocol, Answer(("Hi",), stop=protocol.stop, usage=protocol.usage))
    assert found.usage == protocol.counted


@each
def test_figures_that_were_not_sent_are_none_and_not_zero(protocol: Protocol) -> None:
    assert read(protocol, Answer(("Hi",), stop=protocol.stop)).usage is None


@each
def test_several_texts_are_joined_without_anything_between(protocol: Protocol) -> None:
    texts = ("one", " two", "three") if protocol.joins else ("one twothree",)
    assert read(protocol, Answer(texts, stop=protocol.stop)).content == "one twothree"


@each
def test_calls_decide_why_it_stopped_but_for_what_cut_the_answer(protocol: Protocol) -> None:
    arguments = "{}" if protocol.text_arguments else {}
    reasons = {
        protocol.stop: "tool_calls",
        "NEVER_HEARD_OF": "tool_calls",
        protocol.length: "length",
        protocol.filtered: "content_filter",
        protocol.failed: "error",
    }
    for raw, stop in reasons.items():
        if raw is not None:
            found = read(protocol, Answer(calls=(arguments,), stop=raw))
            assert (found.stop_reason, len(found.tool_calls or [])) == (stop, 1), raw


@filters
def test_a_filtered_answer_is_one_that_says_so_once_any_text_came(protocol: Protocol) -> None:
    found = read(protocol, Answer(("So far",), stop=protocol.filtered))
    assert (found.content, found.stop_reason) == ("So far", "content_filter")
    with pytest.raises(ContentFilterError):
        read(protocol, Answer(stop=protocol.filtered))


@each
def test_an_empty_answer_without_calls_is_none(protocol: Protocol) -> None:
    for answer in (Answer(stop=protocol.stop), Answer(("",), stop=protocol.stop)):
        with pytest.raises(ProviderInvalidResponseError) as caught:
            read(protocol, answer)
        assert caught.value.fault == "empty"
    assert read(protocol, Answer(stop=protocol.length)).stop_reason == "length"


@each
@pytest.mark.parametrize("nothing", [None, "", ABSENT], ids=["null", "blank", "missing"])
def test_arguments_that_are_not_there_are_none(protocol: Protocol, nothing: Any) -> None:
    (call,) = read(protocol, Answer(calls=(nothing,), stop=protocol.stop)).tool_calls or []
    assert (call.arguments, call.error) == ({}, None)


@each
@pytest.mark.parametrize("bad", ['{"a": ', "[1]", [1], 7], ids=str)
def test_arguments_that_are_no_object_are_an_error_of_the_call(
    protocol: Protocol, bad: Any
) -> None:
    (call,) = read(protocol, Answer(calls=(bad,), stop=protocol.stop)).tool_calls or []
    assert call.error
    assert call.arguments == {}


@each
def test_tags_within_a_text_stay_there(protocol: Protocol) -> None:
    found = read(protocol, Answer(("<think>hm</think>Hi",), stop=protocol.stop))
    assert (found.content, found.reasoning) == ("<think>hm</think>Hi", None)
