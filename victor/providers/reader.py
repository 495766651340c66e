"""From the bytes of one stream to its chunks, whatever the protocol. Pure.

Also reads the one JSON body of a server that was asked for a stream and cannot or will not.
"""

from __future__ import annotations

from victor.providers.request import Wire
from victor.providers.sse import MAX_EVENT_BYTES, SSEError
from victor.types import StreamChunk

__all__ = ["MAX_ANSWER_BYTES", "StreamReader"]

MAX_ANSWER_BYTES = 24 * 1024 * 1024
"""More than any model writes; a stream without end ends here, not in the machine's memory."""

_HEAD_BYTES = 256

_PIECE_BYTES = 64
"""What it costs to keep a piece of an answer, beside its text."""


class StreamReader:
    """From the bytes of one stream to its chunks."""

    def __init__(self, wire: Wire, model: str) -> None:
        self._wire = wire
        self._model = model
        self._splitter = wire.splitter()
        self._decoder = wire.stream_decoder(model=model)
        self.head = b""
        """The first bytes but blanks, to tell what it was if it was no stream."""
        self._body: bytearray | None = None
        self._final: StreamChunk | None = None
        self._size = 0
        self._may_be_whole = wire.stream_type == "text/event-stream"

    @property
    def done(self) -> bool:
        return self._decoder.done

    def feed(self, block: bytes) -> list[StreamChunk]:
        if len(self.head) < _HEAD_BYTES:
            begins = not self.head
            self.head = (self.head + block[:_HEAD_BYTES]).lstrip()
            if begins and self._may_be_whole and self.head.startswith((b"{", b"[")):
                self._body = bytearray()  # an error, or the answer of a server that cannot stream
        if self._body is None:
            return self._chunks(self._splitter.feed(block))
        self._body += block
        if len(self._body) > MAX_EVENT_BYTES:
            raise SSEError(f"one JSON body of more than {MAX_EVENT_BYTES:,} bytes")
        return []

    def close(self) -> list[StreamChunk]:
        if self._body is None:
            return [] if self.done else self._chunks(self._splitter.close())
        answer = self._wire.decode(bytes(self._body), model=self._model)
        self._final = StreamChunk(
            tool_calls=answer.tool_calls,
            stop_reason=answer.stop_reason,
            usage=answer.usage,
            is_final=True,
            provider_state=answer.provider_state,
            model=answer.model,
        )
        return [StreamChunk(answer.content, answer.reasoning or "")]

    def final(self) -> StreamChunk:
        return self._final or self._decoder.finish()

    def _chunks(self, events: list[bytes]) -> list[StreamChunk]:
        decode = self._decoder.feed
        chunks: list[StreamChunk] = []
        size = self._size
        for data in events:
            chunk = decode(data)
            if chunk is None:
                size += len(data)
            else:
                text = len(chunk.content) + len(chunk.reasoning) + len(chunk.tool_call_delta)
                size += _PIECE_BYTES + text
                chunks.append(chunk)
        self._size = size
        if size > MAX_ANSWER_BYTES:
            raise SSEError(f"its answer is longer than {MAX_ANSWER_BYTES:,} bytes")
        return chunks
