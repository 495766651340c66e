"""Amazon Bedrock's Converse, the answer: the events of a stream.

Spec: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ConverseStream.html
Takes events as `victor/providers/eventstream.py` makes them, `{"<type>": {…}}`. Knows nothing about
frames, HTTP, signatures or retries.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json, to_json

from victor.providers.failures import error_from_body
from victor.providers.reading import count, cut_off, mapping, not_ours, parse_object, word
from victor.providers.wires.bedrock.decode import Answer, routed_to, usage_of
from victor.types import JsonObject, StreamChunk, Usage, parse_arguments

__all__ = ["ConverseStream"]


class ConverseStream:
    """Reads the events of one stream; see `StreamDecoder`."""

    __slots__ = (
        "_answered_by",
        "_blocks",
        "_by_index",
        "_model",
        "_provider",
        "_raw_stop",
        "_started",
        "_stopped",
        "_texts",
        "_usage",
        "done",
    )

    def __init__(self, *, provider: str, model: str) -> None:
        self._provider = provider
        self._model = self._answered_by = model
        self._blocks: list[_Block] = []
        self._by_index: dict[int, _Block] = {}
        # The texts of the blocks by their index, for the path of nearly every event.
        self._texts: dict[Any, list[str]] = {}
        self._raw_stop: Any = None
        self._started = False
        self._stopped = False
        self._usage: Usage | None = None
        self.done = False

    def feed(self, data: bytes) -> StreamChunk | None:
        """Take one event; return the chunk it makes, if any."""
        if self.done:
            return None
        try:
            value = from_json(data, cache_strings="keys")
            event = value["contentBlockDelta"]
            # The path of nearly every event: one more piece of a text that has begun.
            delta = event["delta"]
            text = delta["text"]
            if text.__class__ is str and text and len(delta) == 1:
                self._texts[event["contentBlockIndex"]].append(text)
                return StreamChunk(text)
        except (ValueError, KeyError, TypeError):
            if not data.strip():
                return None
            value = parse_object(data, provider=self._provider, model=self._model)
        return self._slowly(value)

    def _slowly(self, value: JsonObject) -> StreamChunk | None:
        chunk = None
        for name, event in value.items():
            if name == "error" or name.endswith("Exception"):
                raise self._failure(name, event)
            chunk = self._read(name, mapping(event)) or chunk
        # The figures come last; some gateways send them first.
        self.done = self._stopped and self._usage is not None
        return chunk

    def _read(self, name: str, event: Mapping[str, Any]) -> StreamChunk | None:
        match name:
            case "contentBlockDelta":
                return self._delta(event)
            case "contentBlockStart":
                return self._start(event)
            case "messageStart":
                if self._started:
                    what = "begins twice in one stream"
                    raise not_ours(what, provider=self._provider, model=self._model)
                self._started = True
            case "messageStop":
                self._raw_stop = event.get("stopReason")
                self._stopped = True
            case "metadata":
                self._usage = usage_of(event) or self._usage
                self._answered_by = routed_to(event) or self._answered_by
            case _:
                pass  # a block's end, or an event yet to be invented
        return None

    def _failure(self, name: str, event: Any) -> Exception:
        error = (
            event if name == "error" else {"type": name, "message": mapping(event).get("message")}
        )
        return error_from_body(
            {"error": error}, provider=self._provider, model=self._model, where="in the stream"
        )

    def _start(self, event: Mapping[str, Any]) -> StreamChunk | None:
        start = mapping(event.get("start"))
        index = count(event.get("contentBlockIndex"))
        block = self._new(len(self._blocks) if index is None else index)
        block.start = dict(start)
        tool = mapping(start.get("toolUse"))
        name = word(tool.get("name"))
        if name and tool.get("type") != "server_tool_use":
            return StreamChunk(tool_call_delta=name)
        return None

    def _new(self, index: int) -> _Block:
        block = self._by_index[index] = _Block()
        self._texts[index] = block.text
        self._blocks.append(block)
        return block

    def _block(self, event: Mapping[str, Any]) -> _Block:
        index = count(event.get("contentBlockIndex"))
        if index is None:
            return self._blocks[-1] if self._blocks else self._new(0)
        return self._by_index.get(index) or self._new(index)

    def _delta(self, event: Mapping[str, Any]) -> StreamChunk | None:
        text, reasoning, call = self._block(event).add(mapping(event.get("delta")))
        if text or reasoning or call:
            return StreamChunk(text, reasoning, tool_call_delta=call)
        return None

    def finish(self) -> StreamChunk:
        """Return the final chunk, once the stream has ended."""
        if not self._stopped:
            raise cut_off(provider=self._provider, model=self._model)
        return Answer(block.whole() for block in self._blocks).final(
            self._raw_stop,
            self._usage,
            provider=self._provider,
            model=self._model,
            answered_by=self._answered_by,
        )


class _Block:
    """What has arrived of one block of content."""

    __slots__ = (
        "citations",
        "input",
        "reasoning",
        "redacted",
        "results",
        "signature",
        "start",
        "text",
    )

    def __init__(self) -> None:
        self.start: JsonObject = {}
        self.text: list[str] = []
        self.reasoning: list[str] = []
        self.signature = ""
        self.redacted: list[str] = []
        self.input: list[str] = []
        self.results: list[Any] = []
        self.citations: list[Any] = []

    def add(self, delta: Mapping[str, Any]) -> tuple[str, str, str]:
        """Take a delta; return the text, the reasoning and the text of a call that it adds."""
        text = word(delta.get("text"))
        if text:
            self.text.append(text)
        reasoning = self._add_reasoning(mapping(delta.get("reasoningContent")))
        call = self._add_input(mapping(delta.get("toolUse")))
        if isinstance(delta.get("toolResult"), list):
            self.results += delta["toolResult"]
        if isinstance(delta.get("citation"), dict):
            self.citations.append(delta["citation"])
        return text, reasoning, call

    def _add_reasoning(self, delta: Mapping[str, Any]) -> str:
        text = word(delta.get("text"))
        if text:
            self.reasoning.append(text)
        self.signature += word(delta.get("signature"))
        if redacted := word(delta.get("redactedContent")):
            self.redacted.append(redacted)
        return text

    def _add_input(self, delta: Mapping[str, Any]) -> str:
        given = delta.get("input")
        if given is None:
            return ""
        text = given if isinstance(given, str) else to_json(given, inf_nan_mode="null").decode()
        self.input.append(text)
        server_runs_it = mapping(self.start.get("toolUse")).get("type") == "server_tool_use"
        return "" if server_runs_it else text

    def whole(self) -> JsonObject:
        """Return the block as a whole answer would have it."""
        if tool := mapping(self.start.get("toolUse")):
            given = "".join(self.input)
            if tool.get("type") == "server_tool_use":
                return {"toolUse": {**tool, "input": parse_arguments(given)["arguments"]}}
            return {"toolUse": {**tool, "input": given}}
        if result := mapping(self.start.get("toolResult")):
            return {"toolResult": {**result, "content": self.results}}
        if self.redacted:
            return {"reasoningContent": {"redactedContent": _joined(self.redacted)}}
        if self.reasoning or self.signature:
            told = {"text": "".join(self.reasoning)}
            if self.signature:
                told["signature"] = self.signature
            return {"reasoningContent": {"reasoningText": told}}
        text = "".join(self.text)
        if self.citations:
            return {"citationsContent": {"content": [{"text": text}], "citations": self.citations}}
        return {"text": text}


def _joined(parts: list[str]) -> str:
    """Join pieces of base64, each of which may have been padded by itself."""
    if len(parts) == 1:
        return parts[0]
    try:
        return base64.b64encode(b"".join(base64.b64decode(part) for part in parts)).decode()
    except ValueError:
        return "".join(parts)
