"""The child process that runs the embedded model: llama.cpp's HTTP server on a loopback port.

Started by `victor.local.process`, which holds the other end of stdin. The first line of stdin is
the API key (in argv or the environment others could see it); the end of stdin ends this process.
One line of JSON comes on stdout: `{"port", "n_ctx"}` when the model answers, or
`{"error", "detail"}`.

Runs from its file, without victor on the import path, so that nothing but llama.cpp is loaded.
Knows nothing about where weights come from or who asks them.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

_PROMPT_CACHE_MIB = 256
_ERRORS_ONLY = 1
_LOG_FLUSH_S = 0.1
_PR_SET_PDEATHSIG = 1


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until stdin ends.

    Returns:
        The exit code: 0, or 1 when the model could not be started.
    """
    options = _parse(arguments)
    report = _take_stdout()
    if not _die_with(options.parent):
        return 0
    key = sys.stdin.readline().strip()
    if not key:
        return 0  # the parent was gone before it said anything
    try:
        xllamacpp = import_module("xllamacpp")
        server = xllamacpp.Server(_parameters(xllamacpp, options, key))
        port = urlsplit(server.listening_address).port
        _say(report, port=port, n_ctx=_context_of_slot(port, key))
    except (ImportError, AttributeError, TypeError) as error:  # missing, or another version
        _say(report, error="import", detail=f"{type(error).__name__}: {error}")
        return 1
    except (RuntimeError, MemoryError, OSError) as error:
        time.sleep(_LOG_FLUSH_S)  # llama.cpp logs from a thread; the parent reads why it failed
        _say(report, error="load", detail=f"{type(error).__name__}: {error}")
        return 1
    sys.stdin.read()
    return 0


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="victor-local-server")
    parser.add_argument("--model", required=True, help="a GGUF file")
    parser.add_argument("--context-window", type=int, default=4096, help="tokens")
    parser.add_argument("--threads", type=int, default=1, help="for writing")
    parser.add_argument("--batch-threads", type=int, default=1, help="for reading the prompt")
    parser.add_argument("--parent", type=int, help="process to die with")
    return parser.parse_args(arguments)


def _take_stdout() -> int:
    # Whatever llama.cpp prints goes to stderr; only our one line goes to the real stdout.
    report = os.dup(1)
    os.dup2(2, 1)
    return report


def _die_with(parent: int | None) -> bool:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to judge
    if sys.platform != "linux":
        return True  # the end of stdin does it, a moment later
    import ctypes

    # While a model loads, Python does not run, and the end of stdin would not be seen.
    # https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    return parent in {None, os.getppid()}  # it may have died before we asked


def _parameters(xllamacpp: Any, options: argparse.Namespace, key: str) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = options.model
    params.model_alias = {Path(options.model).stem}
    params.n_ctx = options.context_window
    params.n_parallel = 1
    params.cpuparams.n_threads = options.threads
    params.cpuparams_batch.n_threads = options.batch_threads
    params.fit_params = False  # do what was asked, or fail
    params.cache_ram_mib = _PROMPT_CACHE_MIB  # the default may grow to 8 GiB
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [key]
    params.cors_origins = ""  # no web page may read an answer
    params.cors_origins_explicit = True
    params.cors_credentials = False
    params.ui = False
    params.verbosity = _ERRORS_ONLY
    return params


def _context_of_slot(port: int | None, key: str) -> int:
    # llama.cpp may give less than was asked; this also proves that the server answers.
    from http.client import HTTPConnection

    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/slots", headers={"Authorization": f"Bearer {key}"})
        slots = json.load(connection.getresponse())
    finally:
        connection.close()
    return int(slots[0]["n_ctx"])


def _say(report: int, **fields: object) -> None:
    os.write(report, json.dumps(fields).encode() + b"\n")


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # llama.cpp's threads need no farewell
