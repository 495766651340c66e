"""The streamable HTTP transport of MCP: the package's own, with limits and a way to log in.

Answers are capped in bytes, compression is declined, redirects leave the server's origin never, and
an answer that says the session is gone is noticed. Knows nothing about sessions' content or tools.
Spec: https://modelcontextprotocol.io/specification/2025-11-25/basic/transports#streamable-http
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from victor.config.mcp_servers import McpServer
from victor.errors import ConfigError
from victor.tools.mcp_oauth import Login, TokenFile, login_auth, login_wanted

if TYPE_CHECKING:
    import httpx2

__all__ = ["HttpTransport"]

_MOST_BYTES = 16 * 2**20
"""Of one answer, and of one event of a stream."""
_STREAM_BYTES = 64 * _MOST_BYTES
"""Of one stream, which may last as long as the connection."""
_QUIET = logging.NullHandler()
"""Who listens to the package's log still hears it; on nobody's terminal it is a traceback."""
_AWAY = frozenset({502, 503, 504})
"""A proxy answered, or the server is not up yet: no answer of the protocol."""


class HttpTransport:
    """Connects to a server's address each time it is opened.

    Args:
        name: the server's name in the settings.
        server: where it is, and how victor says who it is.
        login: how a person logs in with the browser; None: only a login made before counts.
        most_bytes: of one answer.
    """

    def __init__(
        self,
        name: str,
        server: McpServer,
        *,
        login: Login | None = None,
        most_bytes: int = _MOST_BYTES,
    ) -> None:
        self._name = name
        self._server = server
        self._url = server.url or ""
        self._login = login
        self._most_bytes = most_bytes
        self._unheard = False
        self.alive = False
        """Whether what is opened can still carry a message."""
        self.trouble = ""
        """What is known about why the connection ended."""

    @property
    def unheard(self) -> bool:
        """Whether the last message was turned away without being looked at."""
        return self._unheard

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Any]:
        """Give the two streams of the server's messages.

        Raises:
            ConfigError: the token's variable is not set, or the server wants a login.
        """
        import httpx2
        from mcp.client.streamable_http import streamable_http_client

        logging.getLogger("mcp").addHandler(_QUIET)  # the same one is added once
        self._unheard, self.trouble = False, ""
        client = httpx2.AsyncClient(
            headers={"Accept-Encoding": "identity", **self._token()},
            auth=await self._auth(),
            # The deadline of a call is the caller's; a stream is quiet for as long as it likes.
            timeout=httpx2.Timeout(30, read=max(300.0, self._server.timeout + 30)),
            event_hooks={"response": [self._check]},
        )
        try:
            async with (
                client,
                streamable_http_client(
                    self._url, http_client=client, max_sse_event_size=self._most_bytes
                ) as streams,
            ):
                self.alive = True
                yield streams
        finally:
            self.alive = False

    async def _auth(self) -> httpx2.Auth | None:
        if not self._server.oauth:
            return None
        tokens = TokenFile(self._name, self._url)
        if self._login is None and await tokens.get_tokens() is None:
            raise login_wanted(self._name)  # before the package registers for nothing
        return login_auth(self._name, self._url, self._login, tokens=tokens)

    def _token(self) -> dict[str, str]:
        if (variable := self._server.token_variable) is None:
            return {}
        token = os.environ.get(variable, "").strip()
        if not token.isascii() or not token.isprintable() or not token:
            raise ConfigError(
                f"the MCP server {self._name} needs a token: set the environment variable "
                f"{variable} to it"
            )
        return {"Authorization": f"Bearer {token}"}

    async def _check(self, response: httpx2.Response) -> None:
        status = response.status_code
        if status == 404 and "mcp-session-id" in response.request.headers:
            # "MUST start a new session": the server began anew and did not look at the message.
            self._unheard, self.alive = True, False
        if status in _AWAY:
            raise ConnectionError(f"it answered with HTTP {status}")
        if status in {401, 403} and not self._server.oauth:
            raise ConfigError(
                f"the MCP server {self._name} answered with HTTP {status}: give it a token "
                f"(token_variable) or log in (oauth = true, then victor mcp login {self._name})"
            )
        kind = response.headers.get("content-type", "").lower()
        streams = kind.startswith("text/event-stream")
        response.stream = _capped(response.stream, _STREAM_BYTES if streams else self._most_bytes)


def _capped(stream: Any, most: int) -> httpx2.AsyncByteStream:
    import httpx2

    class Capped(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            seen = 0
            async for piece in stream:
                seen += len(piece)
                if seen > most:
                    raise ConnectionError(f"it sent an answer of more than {most / 1e6:.3g} MB")
                yield piece

        async def aclose(self) -> None:
            await stream.aclose()

    return Capped()
