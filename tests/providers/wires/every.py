"""Every wire, with a maker of its answers: the same answer as a stream and as a body."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import strategies as st

from tests.providers.test_eventstream import event as frame
from victor.config.catalog import Vendor, WireName
from victor.providers.protocols import wire_for
from victor.providers.request import Wire

__all__ = ["EVERY", "SAID", "SSE", "Json", "Kind", "Said", "each_wire"]

Json = dict[str, Any]


@dataclass(frozen=True)
class Said:
    """What a model says, in the pieces in which it does."""

    text: tuple[str, ...] = ("Hel", "lo ü\u2028\u2029\x85", " [DONE]")
    thought: tuple[str, ...] = ()
    calls: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Names, and the pieces of their arguments' JSON."""

    def arguments(self, at: int) -> Json:
        value: Json = json.loads("".join(self.calls[at][1]) or "{}")
        return value


@dataclass(frozen=True)
class Kind:
    """One protocol."""

    wire_name: WireName
    stream: Callable[[Said], list[Any]]
    """The events, up to the last one."""
    body: Callable[[Said], Json]
    ending: int
    """How many of the last events each say by themselves that the answer is whole."""
    harmless: Sequence[Json] = ()
    """Events that say nothing: nulls where text would be, and kinds yet to be invented."""
    vendor: Vendor = field(init=False)

    def __post_init__(self) -> None:
        vendor = Vendor("acme", "https://acme.test", wire=self.wire_name)
        object.__setattr__(self, "vendor", vendor)

    @property
    def wire(self) -> Wire:
        return wire_for(self.vendor)

    def data(self, events: Sequence[Any]) -> list[bytes]:
        """Return events as the decoder gets them."""
        return [one if isinstance(one, bytes) else written(one) for one in events]

    def framed(self, events: Sequence[bytes], newline: bytes = b"\n") -> bytes:
        """Return events as they cross the network."""
        match self.wire.stream_type:
            case "text/event-stream":
                return b"".join(b"data: " + one + newline * 2 for one in events)
            case "application/x-ndjson":
                return b"".join(one + newline for one in events)
            case _:
                pairs = [next(iter(json.loads(one).items())) for one in events]
                return b"".join(frame(name, value) for name, value in pairs)


def written(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")


def _chat(said: Said) -> list[Any]:
    def chunk(delta: Any, finish: str | None = None) -> Json:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return {"id": "c", "object": "chat.completion.chunk", "choices": [choice]}

    found: list[Any] = [chunk({"role": "assistant", "content": ""})]
    found += [chunk({"reasoning_content": piece}) for piece in said.thought]
    found += [chunk({"content": piece}) for piece in said.text]
    for at, (name, pieces) in enumerate(said.calls):
        head = {"id": f"call_{at}", "type": "function", "function": {"name": name}}
        found.append(chunk({"tool_calls": [{"index": at, **head}]}))
        found += [
            chunk({"tool_calls": [{"index": at, "function": {"arguments": piece}}]})
            for piece in pieces
        ]
    usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
    end = "tool_calls" if said.calls else "stop"
    return [*found, chunk({}, end), {"choices": [], "usage": usage}, b"[DONE]"]


def _chat_body(said: Said) -> Json:
    calls = [
        {"id": f"call_{at}", "function": {"name": name, "arguments": "".join(pieces)}}
        for at, (name, pieces) in enumerate(said.calls)
    ]
    message = {
        "content": "".join(said.text),
        "reasoning_content": "".join(said.thought),
        "tool_calls": calls,
    }
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
    return {"model": "m", "choices": [choice], "usage": usage}


def _responses_output(said: Said) -> list[Json]:
    found: list[Json] = []
    if said.thought:
        summary = [{"type": "summary_text", "text": "".join(said.thought)}]
        sealed = {"summary": summary, "encrypted_content": "SEALED-RESPONSES"}
        found.append({"type": "reasoning", "id": "rs_1", **sealed})
    if said.text:
        parts = [{"type": "output_text", "text": "".join(said.text), "annotations": []}]
        found.append({"type": "message", "id": "msg_1", "role": "assistant", "content": parts})
    for at, (name, pieces) in enumerate(said.calls):
        mine = {"type": "function_call", "id": f"fc_{at}", "call_id": f"call_{at}", "name": name}
        found.append({**mine, "arguments": "".join(pieces)})
    return found


def _responses_body(said: Said) -> Json:
    usage = {"input_tokens": 7, "output_tokens": 5, "total_tokens": 12}
    output = _responses_output(said)
    return {"object": "response", "status": "completed", "output": output, "usage": usage}


def _responses(said: Said) -> list[Any]:
    found: list[Any] = [{"type": "response.created", "response": {"status": "in_progress"}}]
    for at, item in enumerate(_responses_output(said)):
        where = {"output_index": at, "item_id": item["id"]}
        begun = {**item, "arguments": ""} if "arguments" in item else item
        begun = {key: one for key, one in begun.items() if key not in ("content", "summary")}
        found.append({"type": "response.output_item.added", **where, "item": begun})
        kind, pieces = {
            "reasoning": ("reasoning_summary_text", said.thought),
            "message": ("output_text", said.text),
        }.get(item["type"], ("function_call_arguments", ()))
        if item["type"] == "function_call":
            pieces = said.calls[int(item["id"][3:])][1]
        found += [{"type": f"response.{kind}.delta", **where, "delta": piece} for piece in pieces]
        found.append({"type": "response.output_item.done", **where, "item": item})
    return [*found, {"type": "response.completed", "response": _responses_body(said)}]


def _anthropic_blocks(said: Said) -> list[Json]:
    found: list[Json] = []
    if said.thought:
        signed = {"thinking": "".join(said.thought), "signature": "SEALED-ANTHROPIC"}
        found.append({"type": "thinking", **signed})
    if said.text:
        found.append({"type": "text", "text": "".join(said.text)})
    for at, (name, _) in enumerate(said.calls):
        mine = {"type": "tool_use", "id": f"toolu_{at}", "name": name}
        found.append({**mine, "input": said.arguments(at)})
    return found


def _anthropic(said: Said) -> list[Any]:
    begun = {"role": "assistant", "model": "m", "usage": {"input_tokens": 7, "output_tokens": 1}}
    found: list[Any] = [{"type": "message_start", "message": {**begun, "content": []}}]
    for at, block in enumerate(_anthropic_blocks(said)):
        kind = block["type"]
        empty = {"text": "", "thinking": "", "input": {}, "signature": ""}
        start = {key: empty.get(key, one) for key, one in block.items()}
        found.append({"type": "content_block_start", "index": at, "content_block": start})
        deltas: list[Json] = []
        if kind == "text":
            deltas = [{"type": "text_delta", "text": piece} for piece in said.text]
        elif kind == "thinking":
            deltas = [{"type": "thinking_delta", "thinking": piece} for piece in said.thought]
            deltas.append({"type": "signature_delta", "signature": block["signature"]})
        else:
            pieces = said.calls[int(block["id"][6:])][1]
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
        found += [{"type": "content_block_delta", "index": at, "delta": one} for one in deltas]
        found.append({"type": "content_block_stop", "index": at})
    end = {"stop_reason": "tool_use" if said.calls else "end_turn"}
    usage = {"output_tokens": 5}
    last = {"type": "message_delta", "delta": end, "usage": usage}
    return [*found, last, {"type": "message_stop"}]


def _anthropic_body(said: Said) -> Json:
    usage = {"input_tokens": 7, "output_tokens": 5}
    whole = {"type": "message", "role": "assistant", "model": "m"}
    return {**whole, "content": _anthropic_blocks(said), "stop_reason": "end_turn", "usage": usage}


def _gemini_parts(said: Said) -> list[Json]:
    found: list[Json] = [{"text": piece, "thought": True} for piece in said.thought]
    found += [{"text": piece} for piece in said.text]
    for at, (name, _) in enumerate(said.calls):
        signed = {} if at else {"thoughtSignature": "SEALED-GEMINI"}
        found.append({"functionCall": {"name": name, "args": said.arguments(at)}, **signed})
    return found


def _gemini_value(parts: list[Json], **more: Any) -> Json:
    counts = {"promptTokenCount": 7, "candidatesTokenCount": 5, "totalTokenCount": 12}
    candidate = {"content": {"role": "model", "parts": parts}, "index": 0, **more}
    return {"candidates": [candidate], "usageMetadata": counts, "modelVersion": "m"}


def _gemini(said: Said) -> list[Any]:
    parts = [_gemini_value([part]) for part in _gemini_parts(said)]
    return [*parts, _gemini_value([{"text": ""}], finishReason="STOP")]


def _gemini_body(said: Said) -> Json:
    return _gemini_value(_gemini_parts(said), finishReason="STOP")


def _bedrock_blocks(said: Said) -> list[Json]:
    found: list[Json] = []
    if said.thought:
        told = {"text": "".join(said.thought), "signature": "SEALED-BEDROCK"}
        found.append({"reasoningContent": {"reasoningText": told}})
    if said.text:
        found.append({"text": "".join(said.text)})
    for at, (name, _) in enumerate(said.calls):
        mine = {"toolUseId": f"tooluse_{at}", "name": name, "input": said.arguments(at)}
        found.append({"toolUse": mine})
    return found


def _bedrock(said: Said) -> list[Any]:
    def delta(at: int, **what: Any) -> Json:
        return {"contentBlockDelta": {"contentBlockIndex": at, "delta": what, "p": "abc"}}

    found: list[Any] = [{"messageStart": {"role": "assistant"}}]
    for at, block in enumerate(_bedrock_blocks(said)):
        if "toolUse" in block:
            tool = block["toolUse"]
            start = {"toolUse": {key: tool[key] for key in ("toolUseId", "name")}}
            found.append({"contentBlockStart": {"contentBlockIndex": at, "start": start}})
            pieces = said.calls[int(tool["toolUseId"][8:])][1]
            found += [delta(at, toolUse={"input": piece}) for piece in pieces]
        elif "text" in block:
            found += [delta(at, text=piece) for piece in said.text]
        else:
            found += [delta(at, reasoningContent={"text": piece}) for piece in said.thought]
            found.append(delta(at, reasoningContent={"signature": "SEALED-BEDROCK"}))
        found.append({"contentBlockStop": {"contentBlockIndex": at}})
    usage = {"inputTokens": 7, "outputTokens": 5, "totalTokens": 12}
    stop = {"messageStop": {"stopReason": "tool_use" if said.calls else "end_turn"}}
    return [*found, stop, {"metadata": {"usage": usage}}]


def _bedrock_body(said: Said) -> Json:
    usage = {"inputTokens": 7, "outputTokens": 5, "totalTokens": 12}
    message = {"role": "assistant", "content": _bedrock_blocks(said)}
    return {"output": {"message": message}, "stopReason": "end_turn", "usage": usage}


def _cohere(said: Said) -> list[Any]:
    def delta(kind: str, at: int, **message: Any) -> Json:
        return {"type": kind, "index": at, "delta": {"message": message}}

    found: list[Any] = [{"type": "message-start", "id": "x", "delta": {"message": {"content": []}}}]
    found += [delta("content-delta", 0, content={"thinking": piece}) for piece in said.thought]
    found.append(delta("content-start", 1, content={"type": "text", "text": ""}))
    found += [delta("content-delta", 1, content={"text": piece}) for piece in said.text]
    found.append({"type": "content-end", "index": 1})
    for at, (name, pieces) in enumerate(said.calls):
        start = {"id": f"{name}_{at}", "type": "function", "function": {"name": name}}
        found.append(delta("tool-call-start", at, tool_calls=start))
        parts = [{"function": {"arguments": piece}} for piece in pieces]
        found += [delta("tool-call-delta", at, tool_calls=part) for part in parts]
        found.append({"type": "tool-call-end", "index": at})
    usage = {"tokens": {"input_tokens": 7, "output_tokens": 5}}
    end = {"finish_reason": "TOOL_CALL" if said.calls else "COMPLETE", "usage": usage}
    return [*found, {"type": "message-end", "delta": end}]


def _cohere_body(said: Said) -> Json:
    content = [{"type": "thinking", "thinking": "".join(said.thought)}] if said.thought else []
    content.append({"type": "text", "text": "".join(said.text)})
    calls = [
        {"id": f"{name}_{at}", "function": {"name": name, "arguments": "".join(pieces)}}
        for at, (name, pieces) in enumerate(said.calls)
    ]
    message = {"role": "assistant", "content": content, "tool_calls": calls}
    usage = {"tokens": {"input_tokens": 7, "output_tokens": 5}}
    return {"id": "x", "finish_reason": "COMPLETE", "message": message, "usage": usage}


def _ollama_calls(said: Said) -> list[Json]:
    return [
        {"id": f"call_{at}", "function": {"name": name, "arguments": said.arguments(at)}}
        for at, (name, _) in enumerate(said.calls)
    ]


def _ollama(said: Said) -> list[Any]:
    def line(**message: Any) -> Json:
        return {"model": "m", "message": {"role": "assistant", **message}, "done": False}

    found: list[Any] = [line(content="", thinking=piece) for piece in said.thought]
    found += [line(content=piece) for piece in said.text]
    found += [line(content="", tool_calls=[call]) for call in _ollama_calls(said)]
    counts = {"done_reason": "stop", "prompt_eval_count": 7, "eval_count": 5}
    return [*found, {**line(content=""), "done": True, **counts}]


def _ollama_body(said: Said) -> Json:
    text, thought = "".join(said.text), "".join(said.thought)
    message = {"role": "assistant", "content": text, "thinking": thought}
    counts = {"done_reason": "stop", "prompt_eval_count": 7, "eval_count": 5}
    calls = _ollama_calls(said)
    return {"model": "m", "message": {**message, "tool_calls": calls}, "done": True, **counts}


def _nulls(*events: Json) -> list[Json]:
    return list(events)


EVERY = (
    Kind("openai-chat", _chat, _chat_body, 3, _nulls(
        {"choices": []}, {"choices": None}, {"choices": [None]}, {"choices": [{"delta": None}]},
        {"choices": [{"index": 0, "delta": {"content": None, "tool_calls": None, "role": None,
                                            "reasoning_content": None, "function_call": None}}]},
        {"choices": [{"index": 1, "delta": {"content": "another choice"}}], "usage": None},
        {"object": "heartbeat", "error": None, "usage": None},
    )),
    Kind("openai-responses", _responses, _responses_body, 1, _nulls(
        {"type": "response.output_text.delta", "delta": None, "item_id": None},
        {"type": "response.output_item.added", "item": None}, {"type": None, "error": None},
        {"type": "response.brand_new.thing", "delta": {"x": 1}}, {"type": "keepalive"},
    )),
    Kind("anthropic", _anthropic, _anthropic_body, 2, _nulls(
        {"type": "ping"}, {"type": None}, {"type": "brand_new", "index": 0, "delta": None},
        {"type": "message_delta", "delta": None, "usage": None},
    )),
    Kind("gemini", _gemini, _gemini_body, 1, _nulls(
        {"candidates": None}, {"candidates": [None]}, {"candidates": [{"content": None}]},
        {"candidates": [{"content": {"parts": None}}]}, {"usageMetadata": None, "error": None},
        {"candidates": [{"content": {"parts": [None]}, "finishReason": None}]},
        {"candidates": [{"index": 1, "content": {"parts": [{"text": "another"}]}}]},
    )),
    Kind("bedrock", _bedrock, _bedrock_body, 2, _nulls(
        {"brandNew": {"x": 1}}, {"contentBlockStop": None}, {"metadata": {"usage": None}},
    )),
    Kind("cohere", _cohere, _cohere_body, 1, _nulls(
        {"type": "content-delta", "delta": None}, {"type": "debug", "delta": {}}, {"type": None},
        {"type": "content-delta", "delta": {"message": {"content": None, "tool_calls": None}}},
        {"type": "citation-start", "delta": {"message": {"citations": {"text": "cited"}}}},
    )),
    Kind("ollama", _ollama, _ollama_body, 1, _nulls(
        {"message": None, "done": False}, {"message": {"content": None}}, {"done": None},
        {"message": {"content": "", "tool_calls": None, "thinking": None}, "error": None},
    )),
)  # fmt: skip
SSE = tuple(kind for kind in EVERY if kind.wire.stream_type == "text/event-stream")

each_wire = pytest.mark.parametrize("kind", EVERY, ids=lambda kind: kind.wire_name)

_PIECES = st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=5).map(tuple)


@st.composite
def _calls(draw: st.DrawFn) -> tuple[str, tuple[str, ...]]:
    arguments = draw(st.dictionaries(st.text(max_size=4), st.integers() | st.text(max_size=4)))
    text = json.dumps(arguments, ensure_ascii=False)
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=3)))
    edges = [0, *cuts, len(text)]
    pieces = [text[a:b] for a, b in pairwise(edges)]
    return draw(st.sampled_from(["add", "look_up"])), tuple(pieces)


SAID = st.builds(
    Said,
    text=_PIECES,
    thought=st.just(()) | _PIECES,
    calls=st.lists(_calls(), max_size=2).map(tuple),
)
