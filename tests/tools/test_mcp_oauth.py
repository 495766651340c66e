from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import stat
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.tools.mcp_support import WHY
from victor.config.mcp_servers import McpServer
from victor.errors import ConfigError
from victor.tools.mcp import McpServers
from victor.tools.mcp_oauth import TokenFile, login_page

pytest.importorskip("mcp", reason=WHY)


class Vendor:
    """An MCP server without tools that wants a login, and the place to log in."""

    def __init__(self) -> None:
        self.challenge = ""
        vendor = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.reply(*vendor.looked_up(self.path))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                self.reply(*vendor.posted(self.path, body, self.headers.get("authorization")))

            do_DELETE = do_GET  # noqa: N815 - the name is http.server's

            def reply(self, status: int, body: dict[str, Any] | None) -> None:
                content = b"" if body is None else json.dumps(body).encode()
                self.send_response(status)
                if status == 401:
                    place = f"{vendor.url}/.well-known/oauth-protected-resource"
                    self.send_header("www-authenticate", f'Bearer resource_metadata="{place}"')
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def looked_up(self, path: str) -> tuple[int, dict[str, Any] | None]:
        if "oauth-protected-resource" in path:
            return 200, {"resource": f"{self.url}/mcp", "authorization_servers": [self.url]}
        if "oauth-authorization-server" in path:
            return 200, {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "registration_endpoint": f"{self.url}/register",
                "response_types_supported": ["code"],
                "code_challenge_methods_supported": ["S256"],
            }
        return 405, None

    def posted(self, path: str, body: bytes, token: str | None) -> tuple[int, Any]:
        if path == "/register":
            return 201, {**json.loads(body), "client_id": "victor-1"}
        if path == "/token":
            given = {key: value[0] for key, value in parse_qs(body.decode()).items()}
            digest = hashlib.sha256(given["code_verifier"].encode()).digest()
            proved = base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == self.challenge
            if given["code"] != "the-code" or not proved:
                return 400, {"error": "invalid_grant"}
            return 200, {"access_token": "the-token", "token_type": "Bearer", "expires_in": 3600}
        if token != "Bearer the-token":
            return 401, None
        return self.answered(json.loads(body))

    def answered(self, request: dict[str, Any]) -> tuple[int, Any]:
        if "id" not in request:
            return 202, None
        replies: dict[str, Any] = {
            "initialize": {
                "protocolVersion": "2025-06-18",
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "shop", "version": "1"},
            },
            "tools/list": {"tools": [{"name": "buy", "inputSchema": {"type": "object"}}]},
        }
        reply: dict[str, Any] = {"jsonrpc": "2.0", "id": request["id"]}
        if request["method"] in replies:
            return 200, {**reply, "result": replies[request["method"]]}
        return 200, {**reply, "error": {"code": -32601, "message": "no"}}


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    made = Vendor()
    yield made
    made.server.shutdown()
    made.server.server_close()
    made.thread.join()


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "victor"


async def visit(address: str) -> str:
    parts = urlsplit(address)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(f"GET {parts.path}?{parts.query} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer.decode()


async def test_a_login_with_the_browser_is_made_once_and_kept(
    vendor: Vendor, workspace: Path, state: Path
) -> None:
    server = McpServer(url=f"{vendor.url}/mcp", oauth=True)
    visits: list[asyncio.Task[str]] = []

    def browse(address: str) -> None:
        asked = {key: value[0] for key, value in parse_qs(urlsplit(address).query).items()}
        vendor.challenge = asked["code_challenge"]
        back = f"{asked['redirect_uri']}?code=the-code&state={asked['state']}"
        visits.append(asyncio.create_task(visit(back)))

    async with login_page(browse) as page:
        async with McpServers({"shop": server}, workspace=workspace, login=page) as opened:
            assert not opened.notes
            assert [one.name for one in opened.tools] == ["shop__buy"]
        assert "close this page" in await visits[0]
    kept = state / "mcp-tokens" / "shop.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    async with McpServers({"shop": server}, workspace=workspace) as opened:
        await opened.look("shop")
        assert not opened.notes
    assert len(visits) == 1


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("error=access_denied&error_description=not+you", "refused: not you"),
        ("error=access_denied", "refused: access_denied"),
    ],
)
async def test_a_login_that_is_refused_says_why(query: str, message: str) -> None:
    async with login_page(lambda _: None) as page:
        assert "Not here" in await visit(f"{page.address}?nothing=1")
        assert "Not here" in await visit(page.address.replace("callback", "") + "?code=1")
        assert "close this page" in await visit(f"{page.address}?{query}")
        with pytest.raises(ConfigError, match=message):
            await page.answered()


async def test_a_login_nobody_makes_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("victor.tools.mcp_oauth._WAIT_S", 0.01)
    async with login_page(lambda _: None) as page:
        with pytest.raises(ConfigError, match="nobody logged in"):
            await page.answered()


async def test_tokens_of_another_address_are_not_used(tmp_path: Path) -> None:
    from mcp.shared.auth import OAuthToken

    here = TokenFile("shop", "https://a.example", folder=tmp_path)
    await here.set_tokens(OAuthToken(access_token="t"))
    found = await here.get_tokens()
    assert found is not None
    assert found.access_token == "t"
    assert await TokenFile("shop", "https://b.example", folder=tmp_path).get_tokens() is None
    here.path.write_text("{")
    assert await here.get_tokens() is None
    assert await here.get_client_info() is None
    here.forget()
    assert not here.path.exists()
