"""From the bytes of one stream to its chunks, whatever the protocol. Pure.

Also reads the one JSON body of a server that was asked for a stream and cannot or will not.
"""

from __future__ import annotations

from victor.providers.request import Wire
from victor.providers.sse import MAX_EVENT_BYTES, SSEError
from victor.types import StreamChunk

__all__ = ["StreamReader"]


class StreamReader:
    """From the bytes of one stream to its chunks."""

    def __init__(self, wire: Wire, model: str) -> None:
        self._wire = wire
        self._model = model
        self._splitter = wire.splitter()
        self._decoder = wire.stream_decoder(model=model)
        self.head = b""
        """The first bytes, to tell what it was if it was no stream."""
        self._body: bytearray | None = None
        self._final: StreamChunk | None = None
        self._may_be_whole = wire.stream_type == "text/event-stream"

    @property
    def done(self) -> bool:
        return self._decoder.done

    def feed(self, block: bytes) -> list[StreamChunk]:
        if not self.head:
            self.head = block[:256]
            if self._may_be_whole and block.lstrip().startswith((b"{", b"[")):
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
        return [chunk for data in events if (chunk := decode(data)) is not None]
