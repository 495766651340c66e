"""Logging in to an MCP server with the browser, and the tokens that come of it.

The flow itself (discovery, registration, PKCE, refreshing) is the package's. Here are the file that
keeps the tokens, readable by its owner alone, and the page on loopback that the browser comes back
to. Knows nothing about the terminal: `Login.show` takes the address to open.
Spec: https://modelcontextprotocol.io/specification/2025-11-25/basic/authorization
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from victor.config.settings import state_path
from victor.errors import ConfigError

if TYPE_CHECKING:
    from mcp.client.auth import OAuthClientProvider
    from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthToken

__all__ = ["Login", "TokenFile", "login_auth", "login_page", "login_wanted"]

_WAIT_S = 300.0
_MOST_BYTES = 16_384
_PAGE = (
    "HTTP/1.1 200 OK\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\n\r\n{text}"
)


class TokenFile:
    """The tokens of one server in a file of the state directory.

    Args:
        name: the server's name in the settings.
        url: its address; tokens of another one are not used.
        folder: where the file is; None is `mcp-tokens` in the state directory.
    """

    def __init__(self, name: str, url: str, *, folder: Path | None = None) -> None:
        self.path = (folder or state_path() / "mcp-tokens") / f"{name}.json"
        self._url = url

    async def get_tokens(self) -> OAuthToken | None:
        """Return what the last login or refresh brought."""
        from mcp.shared.auth import OAuthToken

        kept = self._kept().get("tokens")
        return None if kept is None else OAuthToken.model_validate(kept)

    async def set_tokens(self, tokens: OAuthToken) -> None:
        """Keep new tokens."""
        self._keep(tokens=tokens.model_dump(mode="json", exclude_none=True))

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        """Return how victor is registered with the server."""
        from mcp.shared.auth import OAuthClientInformationFull

        kept = self._kept().get("client")
        return None if kept is None else OAuthClientInformationFull.model_validate(kept)

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """Keep how victor is registered."""
        self._keep(client=client_info.model_dump(mode="json", exclude_none=True))

    def forget(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)

    def _kept(self) -> dict[str, Any]:
        try:
            kept = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}  # the login is made again
        return kept if isinstance(kept, dict) and kept.get("url") == self._url else {}

    def _keep(self, **changed: Any) -> None:
        kept = {**self._kept(), "url": self._url, **changed}
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = self.path.with_suffix(f".{secrets.token_hex(4)}")
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        with os.fdopen(os.open(new, flags, 0o600), "w", encoding="utf-8") as file:
            json.dump(kept, file)
        new.replace(self.path)


@dataclass(slots=True)
class Login:
    """A page on loopback that waits for the browser to come back from a login."""

    address: str
    show: Callable[[str], None]
    """Takes the address that a person has to open."""
    answer: asyncio.Future[dict[str, str]]

    async def opened(self, address: str) -> None:
        """Have the person sent to the server's login."""
        self.show(address)

    async def answered(self) -> AuthorizationCodeResult:
        """Wait until the browser is back.

        Raises:
            ConfigError: nobody logged in within five minutes, or the server said no.
        """
        from mcp.shared.auth import AuthorizationCodeResult

        try:
            async with asyncio.timeout(_WAIT_S):
                found = await asyncio.shield(self.answer)
        except TimeoutError:
            raise ConfigError(
                f"nobody logged in within {_WAIT_S / 60:g} minutes; run the command again"
            ) from None
        if "code" not in found:
            why = found.get("error_description") or found.get("error") or "it gave no code"
            raise ConfigError(f"the login was refused: {why}")
        return AuthorizationCodeResult(
            code=found["code"], state=found.get("state"), iss=found.get("iss")
        )


@asynccontextmanager
async def login_page(show: Callable[[str], None]) -> AsyncIterator[Login]:
    """Serve the page that a browser comes back to, on a port of loopback.

    Args:
        show: takes the address that a person has to open.
    """
    answer: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(ValueError, OSError):
            line = (await reader.readline()).decode("ascii", "replace")
            target = urlsplit(line.split(" ")[1] if line.count(" ") > 1 else "")
            found = {key: value[0] for key, value in parse_qs(target.query).items()}
            comes_back = target.path == "/callback" and bool({"code", "error"} & found.keys())
            if comes_back and not answer.done():
                answer.set_result(found)
            text = "You can close this page and go back to victor." if comes_back else "Not here."
            writer.write(_PAGE.format(text=text).encode())
            await writer.drain()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=_MOST_BYTES)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield Login(f"http://127.0.0.1:{port}/callback", show, answer)


def login_auth(
    name: str, url: str, login: Login | None, *, tokens: TokenFile | None = None
) -> OAuthClientProvider:
    """Return what gives requests their token, refreshing it where need be.

    Args:
        name: the server's name in the settings.
        url: its address.
        login: how a person logs in; None refuses, and says which command does it.
        tokens: where they are kept instead of the state directory.
    """
    from mcp.client.auth import OAuthClientProvider
    from mcp.shared.auth import OAuthClientMetadata
    from pydantic import AnyUrl

    async def refuse(_: str) -> None:
        raise login_wanted(name)

    # Registered servers remember the address of the page, so without a login any will do.
    address = "http://127.0.0.1/callback" if login is None else login.address
    return OAuthClientProvider(
        url,
        OAuthClientMetadata(client_name="victor", redirect_uris=[AnyUrl(address)]),
        tokens or TokenFile(name, url),
        redirect_handler=refuse if login is None else login.opened,
        callback_handler=_nobody if login is None else login.answered,
    )


def login_wanted(name: str) -> ConfigError:
    """Return the error that says how to log in."""
    return ConfigError(f"the MCP server {name} wants a login: run victor mcp login {name}")


async def _nobody() -> AuthorizationCodeResult:
    raise AssertionError("nobody was sent to log in")
