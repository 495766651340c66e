"""A real server of three protocols: llama.cpp with the embedded model, as a child of ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from victor.config.catalog import Vendor
from victor.local.process import LocalServer

__all__ = ["CONTEXT_WINDOW", "MODEL", "ROWS", "real_server"]

CONTEXT_WINDOW = 512
"""Tokens."""
MODEL = "qwen2.5-coder-0.5b"
"""What requests name; the server has one model, whatever its name."""

ROWS = {
    row.wire: row
    for row in (
        Vendor("llamacpp", None),
        Vendor("llamacpp", None, wire="openai-responses"),
        Vendor("llamacpp", None, wire="anthropic", auth="x-api-key"),
    )
}
"""How it is spoken to, by protocol."""


@contextmanager
def real_server(weights: Path) -> Iterator[LocalServer]:
    """Yield the server, which starts with its first use and is gone after the block."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("victor.local.process._SERVER", Path(__file__).with_name("child.py"))
        server = LocalServer(weights, context_window=CONTEXT_WINDOW, idle_s=None)
        try:
            yield server
        finally:
            server.kill()
