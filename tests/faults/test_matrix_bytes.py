from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import pytest

from tests.faults.protocols import How, Protocol
from tests.faults.support import Fault, ask, check, check_trial, connect, each, votes
from victor.errors import ProviderInvalidResponseError, StreamInterruptedError
from victor.providers import reader
from victor.testing.faults import (
    Answer,
    FaultServer,
    chunked_answer,
    gzip_answer,
    gzip_bomb,
    json_answer,
    sse_answer,
)

ODD = "a\u2028b\u2029c\u0085d"
WIDE = "é€😀"
MIB = 2**20


def _lines(protocol: Protocol, ends: bytes, *, indent: int | None = None) -> Answer:
    """Write a stream with other ends of lines, or with its data over several lines."""
    events = [
        "".join(f"data: {line}\n" for line in json.dumps(event, indent=indent).splitlines())
        for event in protocol.events("Hel", "lo")
    ]
    done = [] if protocol.done is None else [f"data: {protocol.done}\n"]
    body = "".join(f"{event}\n" for event in [*events, *done]).encode()
    return chunked_answer([body.replace(b"\n", ends)])


def _unescaped(protocol: Protocol, how: How, text: str) -> bytes:
    """Return the body of an answer, its text in UTF-8 instead of escapes."""
    if how == "chat":
        return json.dumps(protocol.body(text), ensure_ascii=False).encode()
    events = [json.dumps(one, ensure_ascii=False) for one in protocol.events(*text)]
    return protocol.bytes(events)


def _body(body: bytes, how: How) -> Answer:
    return chunked_answer([body], "application/json" if how == "chat" else "text/event-stream")


def _spoilt(protocol: Protocol, how: How, _: str) -> Answer:
    return _body(_unescaped(protocol, how, "é").replace("é".encode(), b"\xc3"), how)


@cache
def _bomb(begin: bytes) -> Answer:
    return gzip_bomb(begin, megabytes=60)


def _endless(data: bytes, beat: bytes) -> Answer:
    kind = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n"
    return Answer(kind + data, "beat", beat=beat, beat_s=0)


def _compressed(protocol: Protocol, how: How, *, damaged: bool = False) -> Answer:
    return gzip_answer(_unescaped(protocol, how, "Hello"), damaged=damaged)


FAULTS = [
    Fault("F12 byte by byte", "-", None,
          lambda p, *_: p.stream(pace_s=0.0), how=("stream",), attempts=1),
    Fault("F12 CRLF", "-", None, lambda p, *_: _lines(p, b"\r\n"), how=("stream",), attempts=1),
    Fault("F12 CR", "-", None, lambda p, *_: _lines(p, b"\r"), how=("stream",), attempts=1),
    Fault("F12 BOM", "-", None,
          lambda p, *_: chunked_answer([b"\xef\xbb\xbf", p.bytes(p.events("Hello"))]),
          how=("stream",), attempts=1),
    Fault("F12 data over many lines", "-", None, lambda p, *_: _lines(p, b"\n", indent=1),
          how=("stream",), attempts=1),
    Fault("F12 CRLF byte by byte", "-", None,
          lambda p, *_: replace(_lines(p, b"\r\n", indent=1), pace_s=0.0), how=("stream",),
          attempts=1),
    Fault("F13 line separators in the text", "-", None,
          lambda p, how, _: _body(_unescaped(p, how, ODD), how), text=ODD, attempts=1),
    Fault("F14 characters split anywhere", "-", None,
          lambda p, how, _: replace(_body(_unescaped(p, how, WIDE), how), pace_s=0.0), text=WIDE,
          attempts=1),
    Fault("F14 no UTF-8", "F", ProviderInvalidResponseError, _spoilt),
    Fault("F14 no UTF-8 after text", "F", ProviderInvalidResponseError,
          lambda p, *_: p.cut([*p.text("Hello"), b'data: {"x": "\xff"}\n\n']), partial="Hello",
          how=("stream",), attempts=1),
    Fault("F15 gzip nobody asked for", "-", None, lambda p, how, _: _compressed(p, how),
          attempts=1),
    Fault("F15 damaged gzip", "F", ProviderInvalidResponseError,
          lambda p, how, _: _compressed(p, how, damaged=True), says="damaged compressed body"),
    Fault("F15 packed in a way without bounds", "F", ProviderInvalidResponseError,
          lambda p, *_: json_answer(p.body(), 200, {"content-encoding": "br"}),
          says=r"compressed its answer \('br'\)"),
    Fault("F15 gzip bomb", "F", ProviderInvalidResponseError, lambda *_: _bomb(b'{"choices": '),
          says="longer than|more than"),
    Fault("F15 gzip bomb as a stream", "F", ProviderInvalidResponseError,
          lambda *_: _bomb(b"data: "), how=("stream",), says="longer than"),
    Fault("F16 ten megabytes in a line", "-", None,
          lambda p, *_: p.stream(p.events("x" * 10_000_000)), how=("stream",), attempts=1,
          text="x" * 10_000_000),
    Fault("F16 endless line", "F", ProviderInvalidResponseError,
          lambda *_: _endless(b"data: ", b"x" * 65536), how=("stream",), says="longer than"),
    Fault("F16 endless body", "F", ProviderInvalidResponseError,
          lambda *_: _endless(b'{"choices": "', b"x" * 65536), says="longer than|more than"),
]  # fmt: skip


@each(FAULTS)
async def test_fault(
    fault: Fault, protocol: Protocol, how: How, monkeypatch: pytest.MonkeyPatch
) -> None:
    await check(fault, protocol, how, monkeypatch)


@each(FAULTS)
async def test_vote_of_a_trial(
    fault: Fault, protocol: Protocol, how: How, monkeypatch: pytest.MonkeyPatch
) -> None:
    await check_trial(fault, protocol, how, monkeypatch)


ENDLESS = [
    Fault("F17 endless text", "F", how=("stream",), text="q" * 100_000),
    Fault("F17 endless trickle of text", "F", how=("stream",), text="q"),
]


@each(ENDLESS)
async def test_an_endless_stream_ends_with_what_came(
    fault: Fault, protocol: Protocol, how: How, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "MAX_ANSWER_BYTES", MIB)
    begin, text = protocol.begin() + protocol.text()[:-1], protocol.text(fault.text)
    (event,) = [one for one in text if fault.text in json.dumps(one)]
    beat = sse_answer([event], done=None).data.partition(b"\r\n\r\n")[2]
    many = beat * (100_000 // len(beat) + 1)
    answer = replace(sse_answer(begin, done=None, then="beat"), beat=many, beat_s=0)
    async with FaultServer([answer]) as server, connect(server.url, protocol) as provider:
        with pytest.raises(StreamInterruptedError, match="longer than") as caught:
            await ask(provider, how)
        assert isinstance(caught.value.__cause__, ProviderInvalidResponseError)
        size = len(caught.value.partial)
        assert caught.value.partial == "q" * size
        assert 10_000 < size <= MIB
        assert votes(provider) == (1, 1, 0)
        assert len(server.requests) == 1
