"""What a provider asks of a wire, and what a wire asks of HTTP. Plain values, no behaviour.

Knows nothing about sockets or about any one protocol.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from victor.config.model_capabilities import UNKNOWN_MODEL, ModelData
from victor.types import CompletionResponse, Embeddings, Message, StreamChunk, ToolDefinition

__all__ = [
    "PAUSED",
    "RESERVED_OPTIONS",
    "ChatRequest",
    "EmbeddingWire",
    "HTTPCall",
    "Splitter",
    "StreamDecoder",
    "Wire",
]

RESERVED_OPTIONS = frozenset({"api_key", "messages", "model", "session", "stream"})
"""Options that never reach a request body: they are victor's to set."""

PAUSED = "pause_turn"
"""A wire's stop reason for an answer that goes on when it is sent back; callers never see it."""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One request to a model, before any protocol is chosen."""

    messages: Sequence[Message]
    model: str
    temperature: float | None = None
    max_tokens: int | None = None
    tools: Sequence[ToolDefinition] | None = None
    stream: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    """Everything else the caller passed; see `providers/options.py`."""
    model_data: ModelData = UNKNOWN_MODEL
    """What is known about the model: which parameters it takes, and how."""


@dataclass(frozen=True, slots=True)
class HTTPCall:
    """One POST, encoded."""

    path: str
    """Joined to the base URL; starts with a slash. May carry a query."""
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """What of the conversation could not be sent as it is, for people: one sentence each."""


class Splitter(Protocol):
    """Cuts a byte stream into events."""

    def feed(self, chunk: bytes) -> list[bytes]:
        """Take bytes; return the events they complete."""

    def close(self) -> list[bytes]:
        """Return what the end of the stream completes."""


class StreamDecoder(Protocol):
    """Turns the events of one stream into chunks."""

    @property
    def done(self) -> bool:
        """Whether the protocol's own last event was seen; what follows is not read as events."""

    def feed(self, data: bytes) -> StreamChunk | None:
        """Take one event's data; return the chunk it makes, if any. None once it is done.

        Raises:
            ProviderError: the event is an error, or is not this protocol.
        """

    def finish(self) -> StreamChunk:
        """Return the final chunk, once the stream has ended.

        Raises:
            ProviderError: the stream ended before the answer did, or the answer is empty.
        """


class Wire(Protocol):
    """One protocol, without any I/O. Made with the vendor's row of the catalog."""

    @property
    def name(self) -> str:
        """The key of this wire in `Message.provider_state`."""

    @property
    def stream_type(self) -> str:
        """The media type of its streams, such as `text/event-stream`."""

    @property
    def headers(self) -> Mapping[str, str]:
        """What goes with every request, such as the version of the API."""

    @property
    def models_path(self) -> str | None:
        """Where the models are listed, as `data[].id` or `models[].name`; None: nowhere."""

    def encode(self, request: ChatRequest) -> HTTPCall:
        """Write a request."""

    def decode(self, body: bytes, *, model: str) -> CompletionResponse:
        """Read a whole answer.

        Raises:
            ProviderError: it is an error, is empty, or is not this protocol.
        """

    def stream_decoder(self, *, model: str) -> StreamDecoder:
        """Return a reader for one stream."""

    def splitter(self) -> Splitter:
        """Return a splitter for the bytes of one stream."""


class EmbeddingWire(Protocol):
    """The embeddings of one protocol, without any I/O. Made with the vendor's row."""

    @property
    def most_texts(self) -> int:
        """How many texts one request may carry."""

    def encode(self, texts: Sequence[str], *, model: str, options: Mapping[str, Any]) -> HTTPCall:
        """Write a request. `options` may have `dimensions`; the rest passes through."""

    def decode(self, body: bytes, *, model: str, expected: int) -> Embeddings:
        """Read an answer.

        Raises:
            ProviderError: it is an error, is not this protocol, or has not `expected` vectors.
        """
