"""The child process of the embedded model, with a chat template in which it can call tools.

Runs in place of `victor/local/server.py`. The model's own template marks a call with one special
token, and weights as small as these never write it; a call that is plain JSON they do write, and
llama.cpp derives how to read calls from whatever the template says.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from victor.local import server

__all__ = ["main"]


def main() -> int:
    """Serve until stdin ends, as the real one does."""
    usual = server._parameters

    def calling(xllamacpp: Any, options: Any, key: str) -> Any:
        params = usual(xllamacpp, options, key)
        params.chat_template = Path(__file__).with_name("calls.jinja").read_text(encoding="utf-8")
        return params

    server._parameters = calling
    return server.main(sys.argv[1:])


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)
