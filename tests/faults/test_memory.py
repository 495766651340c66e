from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.faults.protocols import PROTOCOLS, How, Protocol
from victor.testing.faults import Answer, FaultServer, Request, gzip_bomb, json_answer, sse_answer

ROOT = Path(__file__).parents[2]
MOST_KB = 64 * 1024
LINE = 10_000_000

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="this system has no peak to be reset"
)


@dataclass(frozen=True)
class Heavy:
    """An answer that would take much memory, and what has to come of it."""

    id: str
    how: How
    outcome: str
    size: int = 0
    is_read: bool = False
    """Whether it gets as far as to what knows the protocol."""


ROWS = [
    Heavy("F15 gzip bomb", "chat", "ProviderInvalidResponseError"),
    Heavy("F15 gzip bomb", "stream", "ProviderInvalidResponseError"),
    Heavy("F16 ten megabytes in a line", "stream", "answer", LINE, is_read=True),
    Heavy("F16 endless line", "stream", "ProviderInvalidResponseError"),
    Heavy("F16 endless body", "chat", "ProviderInvalidResponseError"),
    Heavy("F17 endless stream", "stream", "StreamInterruptedError", is_read=True),
    Heavy("F23 endless error", "chat", "ProviderServerError"),
    Heavy("F33 five megabytes of arguments", "chat", "answer", is_read=True),
    Heavy("F33 five megabytes of arguments", "stream", "answer", is_read=True),
]


def _answer(row: Heavy, protocol: Protocol) -> Answer:
    many = "x" * 65_536
    calls = [("c1", "look", json.dumps({"path": "x" * 5_000_000}))]
    match row.id.partition(" ")[2]:
        case "gzip bomb":
            return gzip_bomb(b'{"choices": ' if row.how == "chat" else b"data: ", megabytes=200)
        case "ten megabytes in a line":
            return protocol.stream(protocol.events("x" * LINE))
        case "endless line":
            start = sse_answer([b"data: "], done=None, then="beat")
            return replace(start, beat=many.encode(), beat_s=0)
        case "endless body":
            start = Answer(b"HTTP/1.1 200 OK\r\n\r\n{", "beat")
            return replace(start, beat=many.encode(), beat_s=0)
        case "endless stream":
            start = sse_answer(protocol.begin(), done=None, then="beat")
            (text,) = [one for one in protocol.text(many) if many in json.dumps(one)]
            beat = sse_answer([text], done=None).data.partition(b"\r\n\r\n")[2]
            return replace(start, beat=beat, beat_s=0)
        case "endless error":
            start = Answer(b"HTTP/1.1 500 Oops\r\n\r\n{", "beat")
            return replace(start, beat=many.encode(), beat_s=0)
        case _ if row.how == "chat":
            return json_answer(protocol.body(None, calls))
        case _:
            return protocol.stream(
                [*protocol.begin(), *protocol.calls(calls, pieces=50), *protocol.end()]
            )


@pytest.mark.parametrize(
    ("row", "protocol"),
    [
        pytest.param(row, protocol, id=f"{row.id}-{protocol.name}-{row.how}")
        for row in ROWS
        for protocol in (PROTOCOLS if row.is_read else PROTOCOLS[:1])
    ],
)
async def test_no_answer_takes_more_than_64_megabytes(row: Heavy, protocol: Protocol) -> None:
    heavy = _answer(row, protocol)

    def choose(request: Request) -> Answer:
        return protocol.good(request) if request.path.startswith("/warm/") else heavy

    async with FaultServer(choose) as server:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.faults.heavy", server.url, protocol.name, row.how,
            cwd=ROOT, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, _ = await asyncio.wait_for(child.communicate(), 60)
    found = json.loads(out)
    assert (found["outcome"], found["size"]) == (row.outcome, row.size)
    assert found["growth_kb"] < MOST_KB
