"""What the command line's tests need: a scripted LLM server and a terminal to type on."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]

# A pty only sends Ctrl-C to a process whose controlling terminal it is.
_TAKE_TERMINAL = (
    "import os, sys; os.close(os.open(os.ttyname(0), os.O_RDWR)); "
    "os.execv(sys.executable, [sys.executable, '-m', 'victor', *sys.argv[1:]])"
)
_STYLING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


@dataclass(frozen=True)
class Reply:
    """One answer of the server: text, tool calls, an error status, or text that then hangs."""

    text: str = ""
    calls: Sequence[tuple[str, Mapping[str, Any]]] = ()
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    hangs: bool = False
    finish: str | None = None


class LLM:
    """An OpenAI-compatible server on loopback that answers by a script; the last reply repeats."""

    def __init__(self) -> None:
        self.script: list[Reply] = []
        self.requests: list[dict[str, Any]] = []
        self.released = threading.Event()
        llm = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                llm.requests.append(json.loads(body))
                reply = llm.script.pop(0) if len(llm.script) > 1 else llm.script[0]
                with contextlib.suppress(OSError):
                    llm.answer(self, reply)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        self.flags = ["--provider", "openai-compatible", "--base-url", self.url, "--model", "m"]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def answer(self, handler: BaseHTTPRequestHandler, reply: Reply) -> None:
        if reply.status != 200:
            body = json.dumps({"error": {"message": reply.text or "no"}}).encode()
            handler.send_response(reply.status)
            for name, value in reply.headers.items():
                handler.send_header(name, value)
            handler.send_header("content-type", "application/json")
            handler.send_header("content-length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)
            return
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.send_header("connection", "close")
        handler.end_headers()
        for word in re.findall(r"\S+\s*|\s+", reply.text):
            self._event(handler, {"content": word})
        if reply.hangs:
            handler.wfile.flush()
            self.released.wait(30)
            return
        calls = [
            {
                "index": index,
                "id": f"call_{index}",
                "type": "function",
                "function": {"name": name, "arguments": json.dumps(arguments)},
            }
            for index, (name, arguments) in enumerate(reply.calls)
        ]
        if calls:
            self._event(handler, {"tool_calls": calls})
        self._event(handler, {}, reply.finish or ("tool_calls" if calls else "stop"))
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        self._data(handler, json.dumps({"choices": [], "usage": usage, "model": "m"}))
        self._data(handler, "[DONE]")
        handler.close_connection = True

    def _event(
        self, handler: BaseHTTPRequestHandler, delta: Mapping[str, Any], finish: str | None = None
    ) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        self._data(handler, json.dumps({"id": "x", "model": "m", "choices": [choice]}))

    def _data(self, handler: BaseHTTPRequestHandler, data: str) -> None:
        handler.wfile.write(f"data: {data}\n\n".encode())
        handler.wfile.flush()

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Terminal:
    """A victor process on a pty: `type` keys, `see` text."""

    def __init__(
        self, arguments: Sequence[str], *, cwd: Path, environ: Mapping[str, str], stdout: Any = None
    ) -> None:
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-c", _TAKE_TERMINAL, *arguments],
            stdin=slave,
            stdout=slave if stdout is None else stdout,
            stderr=slave,
            cwd=cwd,
            env={"TERM": "xterm", **environ},
            start_new_session=True,
        )
        os.close(slave)
        self.raw = b""
        self._seen = 0
        self._ready = 0

    @property
    def text(self) -> str:
        return _STYLING.sub("", self.raw.decode(errors="replace"))

    def type(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def see(self, text: str, within_s: float = 10) -> str:
        """Wait for text after what was seen last, and return what is on screen up to it."""
        end = time.monotonic() + within_s
        while (at := self.text.find(text, self._seen)) < 0:
            left = end - time.monotonic()
            if left <= 0 or not self._read(left):
                raise AssertionError(f"{text!r} did not come; there is:\n{self.text[self._seen :]}")
        before = self.text[self._seen : at]
        self._seen = at + len(text)
        return before

    def ready(self, within_s: float = 10) -> None:
        """Wait until the editor takes keys: it has switched pasting on and shown its cursor."""
        end = time.monotonic() + within_s
        for mark in (b"\x1b[?2004h", b"\x1b[?25h"):
            while (at := self.raw.find(mark, self._ready)) < 0:
                if not self._read(max(0.0, end - time.monotonic())):
                    raise AssertionError(f"there is no prompt:\n{self.text[self._seen :]}")
            self._ready = at + len(mark)

    def type_until(self, keys: str, text: str, within_s: float = 10) -> str:
        """Type, again and again as early keys may be ignored, until text comes."""
        end = time.monotonic() + within_s
        while True:
            self.type(keys)
            try:
                return self.see(text, 0.1)
            except AssertionError:
                if time.monotonic() > end:
                    raise

    def end(self, within_s: float = 10) -> int:
        """Wait for the end of the process and return its exit code."""
        end = time.monotonic() + within_s
        while self._read(max(0.0, end - time.monotonic())):
            pass
        return self.process.wait(max(0.1, end - time.monotonic()))

    def _read(self, within_s: float) -> bool:
        if not select.select([self.master], [], [], within_s)[0]:
            return False
        try:
            data = os.read(self.master, 65536)
        except OSError:  # Linux says EIO where the other end is closed
            return False
        self.raw += data
        return bool(data)

    def close(self) -> None:
        if self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        os.close(self.master)


@contextlib.contextmanager
def terminal(
    arguments: Sequence[str], *, cwd: Path, environ: Mapping[str, str], stdout: Any = None
) -> Iterator[Terminal]:
    made = Terminal(arguments, cwd=cwd, environ=environ, stdout=stdout)
    try:
        yield made
    finally:
        made.close()


def processes_saying(text: str) -> list[int]:
    """Return the processes of this machine whose command line has a text, zombies left out."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            said = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if text.encode() in said:
            found.append(int(entry.name))
    return found
