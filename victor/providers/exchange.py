"""One attempt over HTTP: encode a request, send it, read what comes back.

What bytes mean is the wire's, where they go and who signs them `endpoint.py`'s, and connections
`transport.py`'s. A request refused for a parameter its model does not take is mended once, and the
lesson kept. Retries, breaker and deadlines are the guard's, round all this.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from copy import copy
from typing import TypeAlias, TypeVar

import httpx

from victor.config.catalog import Vendor
from victor.errors import ProviderInvalidRequestError, ProviderInvalidResponseError
from victor.providers.continuing import Parts
from victor.providers.endpoint import Endpoint, address_of, root_of, signer_for
from victor.providers.failures import error_from_response, looks_like_html
from victor.providers.protocols import wire_for
from victor.providers.reader import StreamReader
from victor.providers.repair import Repair, repair_for
from victor.providers.request import PAUSED, ChatRequest, HTTPCall
from victor.providers.sse import SSEError
from victor.providers.transport import Transport
from victor.types import CompletionResponse, Message, StreamChunk

__all__ = ["Exchange", "Heard"]

Heard: TypeAlias = Callable[[str | None, int, Mapping[str, str]], None]

_T = TypeVar("_T")

_log = logging.getLogger(__name__)


class Exchange:
    """Speaks with one vendor's API, without any guard.

    Args:
        vendor: the row of the catalog.
        base_url: where requests go.
        api_key: what signs them, where the vendor wants it so.
    """

    def __init__(self, vendor: Vendor, base_url: str, api_key: str | None) -> None:
        self.vendor = vendor
        self.wire = wire_for(vendor)
        self._base_url = base_url
        self._api_key = api_key
        self._signer = signer_for(vendor, api_key)
        self._transport = Transport(vendor.name)
        self._learnt: dict[str, Repair] = {}
        self.heard: Heard | None = None
        """Is told the model, the status and the headers of every answer."""

    @property
    def transport(self) -> Transport:
        """The connections."""
        return self._transport

    def with_key(self, key: str, heard: Heard) -> Exchange:
        """Return one that signs with another key; connections and lessons are the same.

        Args:
            key: what signs its requests.
            heard: see the attribute.
        """
        other = copy(self)
        other._api_key = key
        other._signer = signer_for(self.vendor, key)
        other.heard = heard
        return other

    async def answer(self, request: ChatRequest) -> CompletionResponse:
        """Ask for a whole answer."""
        parts, part = Parts(request), await self._part(request)
        while part.stop_reason == PAUSED and not parts.full:
            part = await self._part(parts.next_request(part.to_message(), part.usage))
        return parts.whole(part)

    async def _part(self, request: ChatRequest) -> CompletionResponse:
        model = request.model
        body = await self._mending(request, lambda call: self.fetch(call, model))
        return self.wire.decode(body, model=model)

    async def events(
        self, request: ChatRequest, parts: Parts | None = None
    ) -> AsyncGenerator[StreamChunk, None]:
        """Ask for a stream.

        Args:
            request: what is asked.
            parts: the parts before this one, of an answer that paused.
        """
        model = request.model
        response = await self._mending(request, lambda call: self._open(call, model))
        blocks = self._transport.blocks(response)
        reader = StreamReader(self.wire, model)
        said: list[str] = []  # wanted back by a server that paused
        try:
            async for block in blocks:
                for chunk in reader.feed(block):
                    said.append(chunk.content)
                    yield chunk
                if reader.done:
                    break
            for chunk in reader.close():
                said.append(chunk.content)
                yield chunk
            if looks_like_html(reader.head):
                raise self.not_the_api(reader.head, model)
            final = reader.final()
            if final.stop_reason != PAUSED:
                yield parts.last(final) if parts else final
            await self._transport.drain(blocks)
        except SSEError as error:
            raise ProviderInvalidResponseError(
                f"{self.vendor.name} sent something that is not an event stream: {error}",
                provider=self.vendor.name,
                model=model,
            ) from error
        finally:
            await blocks.aclose()
            await self._transport.release(response)
        if final.stop_reason == PAUSED:
            final.content = "".join(said)
            async with aclosing(self._rest(final, parts or Parts(request))) as rest:
                async for chunk in rest:
                    yield chunk

    async def _rest(self, paused: StreamChunk, parts: Parts) -> AsyncGenerator[StreamChunk, None]:
        """Let a paused answer go on, whose text has been passed on."""
        if parts.full:
            paused.content = ""
            yield parts.last(paused)
            return
        message = Message(
            role="assistant", content=paused.content, provider_state=paused.provider_state
        )
        following = parts.next_request(message, paused.usage)
        async with aclosing(self.events(following, parts)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def fetch(self, call: HTTPCall, model: str) -> bytes:
        """Send a request and read the whole answer."""
        headers = {"content-type": "application/json", **call.headers}
        return await self._read(
            await self._send("POST", call.path, call.body, headers, model), model
        )

    async def get(self, path: str, *, at_root: bool = False) -> bytes:
        """Read something that is asked without a body, such as the list of models.

        Args:
            path: beginning with a slash.
            at_root: it stands at the root of the server, not below the base URL.
        """
        return await self._read(await self._send("GET", path, b"", {}, None, at_root=at_root), None)

    async def close(self) -> None:
        """Release the connections."""
        await self._transport.close()

    def not_the_api(self, body: bytes, model: str | None) -> ProviderInvalidResponseError:
        """Make the error for a success that some other server must have sent."""
        what = "a web page" if looks_like_html(body) else "something else"
        name = self.vendor.name
        return ProviderInvalidResponseError(
            f"{self._base_url} answered with {what}, not with {name}'s API; is base_url right?",
            provider=name,
            model=model,
        )

    async def endpoint(self) -> Endpoint:
        """Return where to send and who signs. Overridden where the address is not fixed."""
        return Endpoint(self._base_url, self._signer)

    async def _mending(self, request: ChatRequest, send: Callable[[HTTPCall], Awaitable[_T]]) -> _T:
        """Send a request; once more, mended, if it was refused for what its model does not take."""
        lesson = self._learnt.get(request.model)
        if lesson is not None:
            request = lesson.applied(request)
        try:
            return await send(self._encoded(request))
        except ProviderInvalidRequestError as error:
            repair = repair_for(request, error)
            if repair is None:
                raise
            _log.info("%s: %s; sent again without it", self.vendor.name, error.message)
        self._learnt[request.model] = repair if lesson is None else repair.over(lesson)
        return await send(self._encoded(repair.applied(request)))

    def _encoded(self, request: ChatRequest) -> HTTPCall:
        call = self.wire.encode(request)
        for note in call.notes:
            _log.info("%s: %s", self.vendor.name, note)
        return call

    async def _open(self, call: HTTPCall, model: str) -> httpx.Response:
        """Send a request; return the answer with its body unread."""
        headers = {
            "content-type": "application/json",
            "accept": self.wire.stream_type,
            **call.headers,
        }
        return await self._send("POST", call.path, call.body, headers, model)

    async def _send(
        self,
        method: str,
        path: str,
        body: bytes,
        headers: dict[str, str],
        model: str | None,
        *,
        at_root: bool = False,
    ) -> httpx.Response:
        endpoint = await self.endpoint()
        base = root_of(endpoint.base_url) if at_root else endpoint.base_url
        url = address_of(self.vendor, base, path, model)
        signed = await endpoint.signer.sign(method, url, body, {**self.wire.headers, **headers})
        response = await self._transport.send(method, url, body, signed)
        if self.heard is not None:
            self.heard(model, response.status_code, response.headers)
        if response.status_code // 100 == 2:
            return response
        error_body = _without(self._api_key, await self._transport.read_error(response))
        raise error_from_response(
            response.status_code,
            response.headers,
            error_body,
            provider=self.vendor.name,
            model=model,
            host=response.url.host,
        )

    async def _read(self, response: httpx.Response, model: str | None) -> bytes:
        body = await self._transport.read(response)
        if looks_like_html(body):
            raise self.not_the_api(body, model)
        return body


def _without(key: str | None, body: bytes) -> bytes:
    """Take the key out of an error that quotes it; what is very short is a placeholder."""
    return body.replace(key.encode(), b"[key]") if key and len(key) >= 8 else body
