from __future__ import annotations

from dataclasses import replace

import pytest

from tests.faults.protocols import How, Protocol
from tests.faults.support import Fault, check, check_trial, each
from victor.errors import (
    ProviderConnectionError,
    ProviderInvalidResponseError,
    ProviderTimeoutError,
    ProviderTLSError,
)
from victor.testing.faults import (
    GARBAGE,
    RESET,
    STALL,
    Answer,
    chunked_answer,
    json_answer,
    truncated_answer,
)

SOON = 0.3
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
BEGUN = [("c1", "look", '{"path": "a"}')]
"""A call that breaks off is not run, and not even passed on."""


def _beating(answer: Answer, protocol: Protocol) -> Answer:
    return replace(answer, then="beat", beat=protocol.beat, beat_s=0.005)


FAULTS = [
    Fault("F01 connection refused", "F", ProviderConnectionError, where="refused",
          says=r"^127\.0\.0\.1:\d+ refused the connection"),
    Fault("F02 name does not resolve", "Fl", ProviderConnectionError, where="unknown",
          says=r"no-such-host\.invalid does not resolve; is this machine online\?"),
    Fault("F03 expired certificate", "N", ProviderTLSError, where="expired", attempts=1,
          says="expired"),
    Fault("F03 certificate of another host", "N", ProviderTLSError, where="other host", attempts=1,
          says=r"not valid for '127\.0\.0\.1'"),
    Fault("F03 TLS to a plain port", "N", ProviderTLSError, where="no tls", attempts=1,
          says=r"127\.0\.0\.1:\d+ is not trusted, or it is no TLS"),
    Fault("F04 accepts and never answers", "F", ProviderTimeoutError, lambda *_: STALL,
          timeout=SOON, says="(no answer|no content) within 0.3 s"),
    Fault("F05 slow-loris headers", "F", ProviderTimeoutError,
          lambda *_: Answer(HEAD + b"x-slow: " + b"y" * 9999, pace_s=0.002),
          timeout=SOON, says="(no answer|no content) within 0.3 s"),
    Fault("F05 headers and no body", "F", ProviderTimeoutError,
          lambda *_: Answer(HEAD + b"content-length: 9\r\n\r\n", "stall"), timeout=SOON),
    Fault("F06 stall after text", "F", ProviderTimeoutError,
          lambda p, *_: p.cut(p.text("Hel", "lo")[:-1], "stall"), partial="Hello", how=("stream",),
          only="anthropic", timeout=SOON, attempts=1, says="nothing new for 0.3 s"),
    Fault("F06 stall after text", "F", ProviderTimeoutError,
          lambda p, *_: p.cut(p.text("Hel", "lo"), "stall"), partial="Hello", how=("stream",),
          only="openai-chat", timeout=SOON, attempts=1, says="nothing new for 0.3 s"),
    Fault("F07 heartbeats before content", "F", ProviderTimeoutError,
          lambda p, *_: _beating(p.cut([]), p), timeout=SOON, how=("stream",),
          says="no content within"),
    Fault("F07 heartbeats after content", "F", ProviderTimeoutError,
          lambda p, *_: _beating(p.cut(p.text("Hello")), p), timeout=SOON, how=("stream",),
          partial="Hello", attempts=1, says="nothing new for"),
    Fault("F07 headers and then blanks", "F", ProviderTimeoutError,
          lambda p, *_: Answer(HEAD + b"\r\n", "beat", beat=b"\n", beat_s=0.005), timeout=SOON),
    Fault("F08 reset before the answer", "F", ProviderConnectionError, lambda *_: RESET,
          says="broke the connection while waiting for an answer"),
    Fault("F08 no HTTP", "F", ProviderConnectionError, lambda *_: GARBAGE),
    Fault("F08 end before the answer", "F", ProviderConnectionError, lambda *_: Answer()),
    Fault("F08 reset once, then well", "F", None, lambda p, how, _: [RESET, p.well(how)],
          attempts=2),
    Fault("F08 reset before content", "F", ProviderConnectionError,
          lambda p, *_: p.cut([], "reset"), how=("stream",)),
    Fault("F08 reset after text", "F", ProviderConnectionError,
          lambda p, *_: p.cut(p.text("Hel", "lo"), "reset"), how=("stream",), partial="Hello",
          attempts=1, says="stream broke after 5 characters"),
    Fault("F09 reset within a tool call", "F", ProviderConnectionError,
          lambda p, *_: p.cut(p.calls(BEGUN, pieces=2)[:2], "reset"), how=("stream",), partial="",
          attempts=1),
    Fault("F10 end before content", "F", ProviderConnectionError, lambda p, *_: p.cut([]),
          how=("stream",), says="ended before the answer did"),
    Fault("F10 end after text", "F", ProviderConnectionError,
          lambda p, *_: p.cut(p.text("Hel", "lo")), how=("stream",), partial="Hello", attempts=1),
    Fault("F10 end after a whole tool call", "F", ProviderConnectionError,
          lambda p, *_: p.cut(p.calls(BEGUN)), how=("stream",), partial="", attempts=1),
    Fault("F10 end before content, then well", "F", None,
          lambda p, how, _: [p.cut([]), p.well(how)], how=("stream",), attempts=2),
    Fault("F11 body shorter than promised", "F", ProviderConnectionError,
          lambda *_: truncated_answer(b'{"choices": [{"message": '), how=("chat",),
          says="while reading the answer"),
    Fault("F11 chunks without an end", "F", ProviderConnectionError,
          lambda *_: chunked_answer([b'{"choices": ['], "application/json", whole=False),
          how=("chat",)),
    Fault("F11 truncated JSON", "F", ProviderInvalidResponseError,
          lambda p, *_: _raw(json_answer(p.body()).data.partition(b"\r\n\r\n")[2][:-20]),
          how=("chat",), says="not valid JSON"),
]  # fmt: skip


def _raw(body: bytes) -> Answer:
    return chunked_answer([body], "application/json")


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
