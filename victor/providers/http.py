"""HTTPProvider: any vendor of the catalog. The one file that sends requests to LLM APIs.

One attempt: ask the wire for bytes, send them, give the answer's bytes back to the wire. Retries,
breaker and deadlines are the guard's (`base.py`); what bytes mean is the wire's. Connections live
in `transport.py`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import httpx

from victor.config.api_keys import get_api_key, missing_key_message
from victor.config.catalog import Vendor
from victor.config.checks import WrongSettingError
from victor.config.checks import url as checked_address
from victor.errors import (
    ConfigError,
    ProviderAuthError,
    ProviderInvalidResponseError,
    ProviderTimeoutError,
)
from victor.providers.base import BaseProvider
from victor.providers.failures import error_from_response, looks_like_html
from victor.providers.request import ChatRequest, Endpoint, HTTPCall, Wire
from victor.providers.sse import MAX_EVENT_BYTES, SSEError
from victor.providers.transport import Transport
from victor.providers.wires.openai_chat.encode import Dialect
from victor.providers.wires.openai_chat.wire import OpenAIChat
from victor.tool_calling.adapter import ToolCallingAdapter
from victor.tool_calling.constrained import ConstrainedAdapter
from victor.types import (
    Capabilities,
    Capability,
    CompletionResponse,
    Message,
    StreamChunk,
    ToolDefinition,
)

__all__ = ["HTTPProvider"]

_log = logging.getLogger(__name__)


class HTTPProvider(BaseProvider):
    """A provider that speaks one of victor's wires over HTTP.

    Args:
        vendor: the row of the catalog.
        api_key: instead of the environment and the keyring.
        base_url: instead of the vendor's own.
        timeout: see `BaseProvider`.
        max_retries: see `BaseProvider`.
        use_circuit_breaker: see `BaseProvider`.
        **kwargs: see `BaseProvider`.

    Raises:
        ConfigError: the vendor has no address of its own and none was given, it is not http(s), or
            the key cannot be sent.
    """

    _never_nests = True

    def __init__(
        self,
        vendor: Vendor,
        api_key: str | None = None,
        base_url: str | None = None,
        timeout: float = 60,
        max_retries: int = 3,
        use_circuit_breaker: bool = True,  # noqa: FBT001, FBT002 - as in BaseProvider
        **kwargs: Any,
    ) -> None:
        self.vendor = vendor
        super().__init__(
            api_key=_checked_key(vendor, get_api_key(vendor.name, api_key)),
            base_url=_checked_url(vendor, base_url),
            timeout=timeout,
            max_retries=max_retries,
            use_circuit_breaker=use_circuit_breaker,
            **kwargs,
        )
        self.default_model = vendor.default_model
        if vendor.needs_key and not self.api_key:
            _log.warning("%s", missing_key_message(vendor.name))
        self._wire: Wire = OpenAIChat(
            vendor.name,
            Dialect(
                stream_options=vendor.stream_options,
                max_tokens_name=vendor.max_tokens_name,
                no_sampling=vendor.no_sampling,
            ),
        )
        self._adapter: ToolCallingAdapter | None = (
            ConstrainedAdapter() if vendor.tool_mode == "constrained" else None
        )
        self._transport = Transport(vendor.name)

    @property
    def name(self) -> str:
        return self.vendor.name

    def supports_tools(self) -> bool:
        return True

    def supports_streaming(self) -> bool:
        return True

    async def discover_capabilities(self, model: str) -> Capabilities:  # noqa: ARG002 - per vendor
        return Capabilities(
            supported=frozenset({Capability.STREAMING, Capability.TOOLS, Capability.JSON_SCHEMA}),
            tool_mode=self.vendor.tool_mode,
            source="data",
        )

    async def chat(
        self,
        messages: Sequence[Message],
        *,
        model: str,
        temperature: float | None = 0.7,
        max_tokens: int | None = 4096,
        tools: Sequence[ToolDefinition] | None = None,
        **kwargs: Any,
    ) -> CompletionResponse:
        request = ChatRequest(messages, model, temperature, max_tokens, tools, options=kwargs)
        call, adapter = self._encoded(request)
        response = self._wire.decode(await self._fetch(call, model), model=model)
        return response if adapter is None else adapter.parse_tool_calls(response)

    def stream(
        self,
        messages: Sequence[Message],
        *,
        model: str,
        temperature: float | None = 0.7,
        max_tokens: int | None = 4096,
        tools: Sequence[ToolDefinition] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[StreamChunk]:
        request = ChatRequest(messages, model, temperature, max_tokens, tools, True, kwargs)  # noqa: FBT003 - stream
        call, adapter = self._encoded(request)
        chunks = self._events(call, model)
        return chunks if adapter is None else _closing(chunks, adapter.parse_stream(chunks))

    async def list_models(self) -> list[str]:
        """Ask the endpoint which models it serves; also the cheapest proof that a key works.

        Raises:
            ProviderError: the endpoint refused or did not answer.
        """

        async def once() -> list[str]:
            try:
                async with asyncio.timeout(self.timeout):
                    body = await self._read(await self._send("GET", "/models", b"", {}, None), None)
            except TimeoutError as error:
                raise ProviderTimeoutError(
                    f"{self.base_url} did not list its models within {self.timeout:g} s",
                    provider=self.name,
                ) from error
            return self._model_names(body)

        return list(await self._execute_with_circuit_breaker(once))

    def _model_names(self, body: bytes) -> list[str]:
        from pydantic_core import from_json

        try:
            return [row["id"] for row in from_json(body).get("data") or []]
        except (ValueError, AttributeError, KeyError, TypeError):
            raise self._not_the_api(body, None) from None

    async def close(self) -> None:
        await self._transport.close()

    # ------------------------------------------------------------------ one attempt

    def _encoded(self, request: ChatRequest) -> tuple[HTTPCall, ToolCallingAdapter | None]:
        """Encode a request; return also the adapter that has to read the answer, if any."""
        adapter = self._adapter
        if adapter is None or not request.tools:
            return self._wire.encode(request), None
        step = adapter.prepare(request.messages, request.tools)
        options = {**request.options, **step.options}
        request = replace(request, messages=step.messages, tools=None, options=options)
        return self._wire.encode(request), adapter if step.offers_tools else None

    async def _endpoint(self) -> Endpoint:
        """Return where to send, checked for a key. Overridden where the address is not fixed."""
        if self.vendor.needs_key and not self.api_key:
            raise ProviderAuthError(missing_key_message(self.name), provider=self.name)
        return Endpoint(self.base_url or "", self.api_key)

    async def _send(
        self, method: str, path: str, body: bytes, headers: dict[str, str], model: str | None
    ) -> httpx.Response:
        """Send a request; return the answer with its body unread, or raise for an error status."""
        endpoint = await self._endpoint()
        if endpoint.api_key:
            headers["authorization"] = f"Bearer {endpoint.api_key}"
        response = await self._transport.send(method, endpoint.base_url + path, body, headers)
        if response.status_code // 100 == 2:
            return response
        error_body = await self._transport.read_error(response)
        raise error_from_response(
            response.status_code,
            response.headers,
            error_body,
            provider=self.name,
            model=model,
            host=response.url.host,
        )

    async def _read(self, response: httpx.Response, model: str | None) -> bytes:
        body = await self._transport.read(response)
        if looks_like_html(body):
            raise self._not_the_api(body, model)
        return body

    async def _fetch(self, call: HTTPCall, model: str) -> bytes:
        headers = {"content-type": "application/json", **call.headers}
        return await self._read(
            await self._send("POST", call.path, call.body, headers, model), model
        )

    async def _events(self, call: HTTPCall, model: str) -> AsyncGenerator[StreamChunk, None]:
        headers = {
            "content-type": "application/json",
            "accept": "text/event-stream",
            **call.headers,
        }
        response = await self._send("POST", call.path, call.body, headers, model)
        blocks = self._transport.blocks(response)
        reader = _Reader(self._wire, model)
        try:
            async for block in blocks:
                for chunk in reader.feed(block):
                    yield chunk
                if reader.done:
                    break
            for chunk in reader.close():
                yield chunk
            if looks_like_html(reader.head):
                raise self._not_the_api(reader.head, model)
            yield reader.final()
            await self._transport.drain(blocks)
        except SSEError as error:
            raise ProviderInvalidResponseError(
                f"{self.name} sent something that is not an event stream: {error}",
                provider=self.name,
                model=model,
            ) from error
        finally:
            await blocks.aclose()
            await self._transport.release(response)

    def _not_the_api(self, body: bytes, model: str | None) -> ProviderInvalidResponseError:
        what = "a web page" if looks_like_html(body) else "something else"
        return ProviderInvalidResponseError(
            f"{self.base_url} answered with {what}, not with {self.name}'s API; is base_url right?",
            provider=self.name,
            model=model,
        )


class _Reader:
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

    @property
    def done(self) -> bool:
        return self._decoder.done

    def feed(self, block: bytes) -> list[StreamChunk]:
        if not self.head:
            self.head = block[:256]
            if block.lstrip().startswith((b"{", b"[")):
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


async def _closing(
    source: AsyncGenerator[StreamChunk, None], chunks: AsyncIterator[StreamChunk]
) -> AsyncIterator[StreamChunk]:
    """Pass `chunks` on, and close what they are made of as soon as nobody wants more."""
    try:
        async for chunk in chunks:
            yield chunk
    finally:
        await source.aclose()


def _checked_url(vendor: Vendor, base_url: str | None) -> str:
    given = base_url or vendor.base_url
    if not given:
        raise ConfigError(
            f"{vendor.name} has no address of its own: pass base_url (--base-url URL)"
        )
    try:
        address: str = checked_address("base_url", given)
        httpx.URL(address)
    except WrongSettingError as error:
        raise ConfigError(str(error)) from None
    except httpx.InvalidURL as error:
        raise ConfigError(f"base_url: {error}") from None
    return address


def _checked_key(vendor: Vendor, key: str | None) -> str | None:
    # Here, as the HTTP library would quote it in its error.
    if key and not (key.isascii() and key.isprintable()):
        raise ConfigError(
            f"the API key of {vendor.name} has a character that no key has, such as a line break "
            f"or a typographic dash: set it again with `victor keys set {vendor.name}`"
        )
    return key
