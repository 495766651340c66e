"""OpenAI chat completions as a `Wire`: the two directions under one name."""

from __future__ import annotations

from victor.providers.request import ChatRequest, HTTPCall
from victor.providers.sse import SSEDecoder
from victor.providers.wires.openai_chat.decode import ChatStream, decode
from victor.providers.wires.openai_chat.encode import Dialect, encode
from victor.types import CompletionResponse

__all__ = ["OpenAIChat"]


class OpenAIChat:
    """The protocol, in the dialect of one vendor.

    Args:
        provider: name of the provider, for error messages.
        dialect: what this vendor does differently.
    """

    name = "openai-chat"

    def __init__(self, provider: str, dialect: Dialect) -> None:
        self._provider = provider
        self._dialect = dialect

    def encode(self, request: ChatRequest) -> HTTPCall:
        return encode(request, self._dialect)

    def decode(self, body: bytes, *, model: str) -> CompletionResponse:
        return decode(body, provider=self._provider, model=model)

    def stream_decoder(self, *, model: str) -> ChatStream:
        return ChatStream(provider=self._provider, model=model)

    def splitter(self) -> SSEDecoder:
        return SSEDecoder()
