"""Anthropic Messages, the events of a stream.

Spec: https://docs.anthropic.com/en/docs/build-with-claude/streaming
Puts blocks together from their pieces; what they mean is in `decode.py`. Knows nothing about HTTP,
keys or retries; the names of SSE events are not needed, as the data repeats them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic_core import from_json

from victor.providers.failures import error_from_body
from victor.providers.reading import mapping, not_ours, parse_object, word
from victor.providers.wires.anthropic.decode import Answer, is_error
from victor.types import JsonObject, StreamChunk, parse_arguments

__all__ = ["AnthropicStream"]


class AnthropicStream:
    """Reads the events of one stream; see `StreamDecoder`."""

    __slots__ = ("_add_text", "_answer", "_at", "_blocks", "done")

    def __init__(self, *, provider: str, model: str) -> None:
        self._answer = Answer(provider, model)
        self._blocks: list[_Block] = []
        self._at: dict[Any, _Block] = {}  # the latest block of each index
        self._add_text: dict[Any, Callable[[str], None]] = {}  # to those of them that are text
        self.done = False

    def feed(self, data: bytes) -> StreamChunk | None:
        """Take the data of one event; return the chunk it makes, if any."""
        if self.done:
            return None
        try:
            value = from_json(data, cache_strings="keys")
        except ValueError:
            if data.strip() in (b"", b"[DONE]"):  # some gateways end every stream so
                return None
            value = None
        try:
            # The path of nearly every event: some text for a block that is open.
            delta = value["delta"]
            if delta["type"] == "text_delta":
                text = delta["text"]
                if text.__class__ is str and text:
                    self._add_text[value["index"]](text)
                    return StreamChunk(text)
        except (KeyError, TypeError):
            pass
        if not isinstance(value, dict):
            value = parse_object(data, provider=self._answer.provider, model=self._answer.asked)
        return self._slowly(value)

    def finish(self) -> StreamChunk:
        """Return the final chunk, once the stream has ended."""
        self._answer.blocks = [block.whole() for block in self._blocks]
        return self._answer.final(complete=self.done)

    def _slowly(self, value: JsonObject) -> StreamChunk | None:
        answer = self._answer
        if is_error(value):
            raise error_from_body(
                value, provider=answer.provider, model=answer.asked, where="in the stream"
            )
        match value.get("type"):
            case "content_block_delta":
                return self._delta(value)
            case "content_block_start":
                return _begun(self._begin(value.get("index"), mapping(value.get("content_block"))))
            case "message_start":
                return self._message(mapping(value.get("message")))
            case "message_delta":
                answer.take(value, mapping(value.get("delta")))
            case "message_stop":
                self.done = True
            case _:
                pass  # pings, the ends of blocks, and what is added one day
        return None

    def _message(self, message: Mapping[str, Any]) -> StreamChunk | None:
        if self._blocks:
            # What was passed on cannot be taken back. Before any block it is only a repetition.
            raise not_ours(
                "began a second message within one stream",
                provider=self._answer.provider,
                model=self._answer.asked,
            )
        self._answer.take(message, message)
        content = message.get("content")
        if not isinstance(content, list):
            return None
        # Not empty where the message goes on with calls that code on the server has made.
        begun = [self._begin(at, mapping(block)) for at, block in enumerate(content)]
        return _begun(*begun)

    def _begin(self, index: Any, start: Mapping[str, Any]) -> _Block:
        block = _Block(dict(start))
        at = index if isinstance(index, int) else None
        self._blocks.append(block)
        self._at[at] = block
        self._add_text.pop(at, None)
        if block.kind == "text":
            self._add_text[at] = block.pieces.append
        return block

    def _delta(self, value: Mapping[str, Any]) -> StreamChunk | None:
        delta = mapping(value.get("delta"))
        match delta.get("type"):
            case "text_delta":
                text = word(delta.get("text"))
                self._block(value, "text").pieces.append(text)
                return StreamChunk(text) if text else None
            case "thinking_delta":
                thought = word(delta.get("thinking"))
                self._block(value, "thinking").pieces.append(thought)
                return StreamChunk("", thought) if thought else None
            case "input_json_delta":
                piece = word(delta.get("partial_json"))
                self._block(value, "").json.append(piece)
                return StreamChunk(tool_call_delta=piece) if piece else None
            case "citations_delta":
                self._block(value, "text").cite(delta.get("citation"))
            case "signature_delta":
                self._block(value, "thinking").merge({"signature": delta.get("signature")})
            case _:
                self._block(value, "").merge(delta)
        return None

    def _block(self, value: Mapping[str, Any], kind: str) -> _Block:
        """Return the block a delta is for; one whose start was not sent begins with it."""
        index = value.get("index")
        block = self._at.get(index if isinstance(index, int) else None)
        if block is None or (kind and block.kind != kind):
            block = self._begin(index, {"type": kind} if kind else {})
        return block


class _Block:
    """One block under way."""

    __slots__ = ("_start", "json", "kind", "name", "pieces")

    def __init__(self, start: JsonObject) -> None:
        self._start = start
        self.kind = word(start.get("type"))
        self.name = word(start.get("name"))
        self.pieces: list[str] = []
        self.json: list[str] = []
        if self.kind in ("text", "thinking"):
            self.pieces.append(word(start.get(self.kind)))

    def cite(self, citation: Any) -> None:
        if not isinstance(self._start.get("citations"), list):
            self._start["citations"] = []
        self._start["citations"].append(citation)

    def merge(self, delta: Mapping[str, Any]) -> None:
        """Take a delta that is kept without being read, such as that of a compaction."""
        self._start |= {
            name: one for name, one in delta.items() if name != "type" and one is not None
        }

    def whole(self) -> JsonObject:
        """Return the block as a body would have it; the input of a call stays text."""
        block = dict(self._start)
        if self.kind in ("text", "thinking"):
            block[self.kind] = "".join(self.pieces)
        text = "".join(self.json)
        if text.strip():  # else the start has it, or there is none: tools without arguments
            block["input"] = text if self.kind == "tool_use" else parse_arguments(text)["arguments"]
        return block


def _begun(*blocks: _Block) -> StreamChunk | None:
    """Return what the starts of blocks are worth by themselves."""
    text = "".join(block.pieces[0] for block in blocks if block.kind == "text")
    thought = "".join(block.pieces[0] for block in blocks if block.kind == "thinking")
    names = "".join(block.name for block in blocks)
    if text or thought or names:
        return StreamChunk(text, thought, tool_call_delta=names)
    return None
