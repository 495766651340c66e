from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from victor.local.process import Endpoint

__all__ = ["CRASHES", "PRETEND", "ask", "eventually", "exists", "install"]

# A module with the shape of xllamacpp that serves without a model, so that the life of the child
# can be tested in milliseconds and where there are no weights. The model file says what it does.
PRETEND = r"""
import json, os, signal, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Record:
    pass

class CommonParams:
    def __init__(self):
        self.model, self.cpuparams, self.cpuparams_batch = Record(), Record(), Record()

class Server:
    def __init__(self, params):
        with open(params.model.path) as file:
            does = file.read()
        os.write(1, b"llama.cpp says something, past Python\n")
        exec(does.removeprefix("GGUF"))
        self.listening_address = serve(params)

def serve(params):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            right = self.headers.get("Authorization") == "Bearer " + params.api_keys[0]
            self.send_response(200 if right or self.path == "/health" else 401)
            body = json.dumps([{
                "n_ctx": params.n_ctx // 2, "threads": params.cpuparams.n_threads,
                "batch_threads": params.cpuparams_batch.n_threads, "argv": sys.argv,
                "environment": sorted(os.environ), "cwd": os.getcwd(), "path": sys.path,
            }]).encode()
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        def log_message(self, *args):
            pass
    server = ThreadingHTTPServer((params.hostnames[0], params.port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return "http://127.0.0.1:%d" % server.server_port
"""

CRASHES = {
    "sigill": "os.kill(os.getpid(), signal.SIGILL)",
    "sigkill": "os.kill(os.getpid(), signal.SIGKILL)",
    "exit": "print('the last words', file=sys.stderr, flush=True); os._exit(3)",
    "noise": "os.write(3, b'[1, 2]\\n'); os._exit(0)",
    "memory": "raise MemoryError('std::bad_alloc')",
    "load": "print('0.1 E x: error loading model: unknown model architecture: \\'mamba9\\'',"
    " file=sys.stderr); raise RuntimeError('Failed to init server')",
    "hang": "time.sleep(600)",
}


def install(folder: Path, source: str = PRETEND) -> str:
    folder.mkdir(exist_ok=True)
    folder.joinpath("xllamacpp.py").write_text(source)
    return str(folder)


def ask(
    endpoint: Endpoint, path: str, body: object = None, *, key: str | None = None
) -> tuple[int, Any]:
    request = urllib.request.Request(  # noqa: S310 - the address is our own child's
        endpoint.base_url.removesuffix("/v1") + path,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {key or endpoint.api_key}"},
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310 - as above
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except ProcessLookupError:
        return False
    except OSError:  # no /proc here
        return True
    return state != "Z"


def eventually(condition: Callable[[], bool], within_s: float = 20.0) -> bool:
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return condition()
