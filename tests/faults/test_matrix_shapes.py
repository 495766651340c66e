from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from tests.agent.support import answers_of, counting, valid
from tests.faults.protocols import PROTOCOLS, How, Protocol, Said
from tests.faults.support import (
    HI,
    MODEL,
    Fault,
    ask,
    check,
    check_trial,
    chunks_of,
    connect,
    each,
    votes,
)
from victor.agent.agent import Agent
from victor.errors import ProviderInvalidResponseError
from victor.providers.http import HTTPProvider
from victor.testing.faults import Answer, FaultServer, chunked_answer, json_answer
from victor.types import Message, ToolCall, ToolDefinition, Usage

BOTH_HOWS = pytest.mark.parametrize("how", ["chat", "stream"])
BOTH_PROTOCOLS = pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda one: str(one.name))
LOOK = ToolDefinition(name="look", description="Look.")
NEWS = {"service_tier": "gold", "content_filter_offsets": [{}], "obfuscation": "xyz"}


def _of_a_kind(answer: Answer, kind: bytes) -> Answer:
    """Give an answer another content type."""
    head, _, body = answer.data.partition(b"\r\n\r\n")
    lines = [line for line in head.split(b"\r\n") if not line.startswith(b"content-type")]
    data = b"\r\n".join([*lines, *([b"content-type: " + kind] if kind else [])])
    return Answer(data + b"\r\n\r\n" + body, answer.then)


def _with_news(protocol: Protocol, how: How) -> Answer:
    """Add fields and events that do not exist yet."""
    if how == "chat":
        return json_answer({**protocol.body(), **NEWS})
    strange: list[object] = [{"type": "galaxy", **NEWS}, "{}", b"weight: 5\nid: 7\nretry: 3\n\n"]
    events = [
        {**event, **NEWS} for event in protocol.events("Hel", "lo") if isinstance(event, dict)
    ]
    return protocol.stream([events[0], *strange, *events[1:]])


def _answer(protocol: Protocol, how: How, calls: Sequence[Said], *, pieces: int = 1) -> Answer:
    """Answer with tool calls."""
    if how == "chat":
        return json_answer(protocol.body(None, calls))
    return protocol.stream(
        [*protocol.begin(), *protocol.calls(calls, pieces=pieces), *protocol.end()]
    )


def _empty(protocol: Protocol, how: How) -> Answer:
    if how == "chat":
        return json_answer(protocol.body(None))
    return protocol.stream([*protocol.begin(), *protocol.end()])


def _without_usage(protocol: Protocol, how: How) -> Answer:
    if how == "chat":
        return json_answer({**protocol.body(), "usage": None})
    events = protocol.events("Hel", "lo")
    for event in events:
        assert isinstance(event, dict)
        event.pop("usage", None)
        event.get("message", {}).pop("usage", None)
    return protocol.stream(events)


def _with_blanks(protocol: Protocol) -> Answer:
    """Put events that say nothing between those that do."""
    nothing: list[object] = [
        {"choices": None},
        {"choices": []},
        {"choices": [None]},
        {"choices": [{"index": 0, "delta": None}]},
        {"choices": [{"index": 0, "delta": {"content": None, "tool_calls": None}}]},
        {"type": "content_block_delta", "index": 9, "delta": None},
        {"type": "message_delta", "delta": None, "usage": None},
    ]
    start, *rest = protocol.events("Hel", "lo")
    return protocol.stream([start, *nothing, *rest[:-1], *nothing, rest[-1]])


FAULTS = [
    Fault("F28 stream as JSON", "-", None,
          lambda p, *_: _of_a_kind(p.stream(), b"application/json"), how=("stream",), attempts=1),
    Fault("F28 stream without a type", "-", None, lambda p, *_: _of_a_kind(p.stream(), b""),
          how=("stream",), attempts=1),
    Fault("F28 JSON as a page", "-", None,
          lambda p, how, _: _of_a_kind(p.well(how), b"text/html"), attempts=1),
    Fault("F28 one body instead of a stream", "-", None, lambda p, *_: json_answer(p.body()),
          how=("stream",), attempts=1),
    Fault("F28 page as a stream", "F", ProviderInvalidResponseError,
          lambda *_: chunked_answer([b"<html>Sign in"]), says="base_url"),
    Fault("F29 what does not exist yet", "-", None, lambda p, how, _: _with_news(p, how),
          attempts=1),
    Fault("F30 nothing in between", "-", None, lambda p, *_: _with_blanks(p), how=("stream",),
          attempts=1),
    Fault("F30 no choices at all", "F", ProviderInvalidResponseError,
          lambda *_: json_answer({"choices": None, "content": None}), says="has no ch|has no co"),
    Fault("F31 empty answer", "F", ProviderInvalidResponseError, lambda p, how, _: _empty(p, how),
          attempts=2, says="neither text nor tool calls"),
    Fault("F31 empty answer, then well", "F", None,
          lambda p, how, _: [_empty(p, how), p.well(how)], attempts=2),
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


async def _usage_and_stop(provider: HTTPProvider, how: How) -> tuple[Usage | None, str | None]:
    if how == "chat":
        answer = await provider.chat(HI, model=MODEL)
        return answer.usage, answer.stop_reason
    final = (await chunks_of(provider))[-1]
    return final.usage, final.stop_reason


@BOTH_HOWS
@BOTH_PROTOCOLS
async def test_f30_usage_that_is_missing_is_unknown_and_not_zero(
    protocol: Protocol, how: How
) -> None:
    answer = _without_usage(protocol, how)
    async with FaultServer([answer]) as server, connect(server.url, protocol) as provider:
        usage, _ = await _usage_and_stop(provider, how)
    assert usage is None or usage.prompt_tokens is None


@BOTH_PROTOCOLS
async def test_f29_a_reason_to_stop_that_does_not_exist_yet_is_other(protocol: Protocol) -> None:
    events = [*protocol.begin(), *protocol.text("Hello"), *protocol.end("boredom")]
    answer = protocol.stream(events)
    async with FaultServer([answer]) as server, connect(server.url, protocol) as provider:
        assert (await _usage_and_stop(provider, "stream"))[1] == "other"


# ---------------------------------------------------------------------------- tool calls

A, B = '{"path": "a"}', '{"path": "b"}'


async def _calls(provider: HTTPProvider, how: How) -> list[ToolCall]:
    if how == "chat":
        return (await provider.chat(HI, model=MODEL, tools=[LOOK])).tool_calls or []
    return (await chunks_of(provider, tools=[LOOK]))[-1].tool_calls or []


@BOTH_HOWS
@BOTH_PROTOCOLS
@pytest.mark.parametrize(
    "calls",
    [
        pytest.param([("same", "look", A), ("same", "look", B)], id="twice the same id"),
        pytest.param([("", "look", A), ("", "look", B)], id="blank ids"),
        pytest.param([(None, "look", A), (None, "look", B)], id="no ids"),
        pytest.param([("c1", "look", A), ("c2", "", B), ("c3", "look", B)], id="one has no name"),
    ],
)
async def test_f32_every_call_has_an_id_of_its_own(
    protocol: Protocol, how: How, calls: list[Said]
) -> None:
    answer = _answer(protocol, how, calls, pieces=3)
    async with FaultServer([answer]) as server, connect(server.url, protocol) as provider:
        found = await _calls(provider, how)
        assert votes(provider) == (1, 0, 0)
    assert [one.name for one in found] == ["look", "look"]
    assert [one.arguments for one in found] == [{"path": "a"}, {"path": "b"}]
    assert len({one.id for one in found}) == 2
    assert all(one.id for one in found)


DEEP = '{"path": ' + "[" * 100_000 + "]" * 100_000 + "}"
BAD = [
    pytest.param('{"path": "a"', "not valid JSON", id="cut off"),
    pytest.param("path=a", "not valid JSON", id="no JSON"),
    pytest.param(DEEP, "not valid JSON", id="too deep"),
    pytest.param('{"path": NaN}', "", id="no number"),
    pytest.param('["a"]', "not an object", id="a list"),
    pytest.param('{"path": 7}', "path", id="wrong type"),
    pytest.param("{}", "path", id="nothing"),
    pytest.param('{"path": "a", "mode": "fast"}', "mode", id="too much"),
]


async def _ran(
    protocol: Protocol, how: How, calls: Sequence[Said]
) -> tuple[list[str], Agent, FaultServer]:
    """Let an agent work with a model that makes some calls and then answers."""
    script = [_answer(protocol, how, calls), protocol.well(how)]
    look, ran = counting()
    async with FaultServer(script) as server, connect(server.url, protocol) as provider:
        agent = Agent(provider, model=MODEL, tools=[look], mode="auto")
        if how == "chat":
            assert (await agent.run("Look!")).content == "Hello"
        else:
            async for _ in agent.stream("Look!"):
                pass
            assert agent.messages[-1].content == "Hello"
        assert votes(provider) == (2, 0, 0)
    assert valid(agent.messages)
    return ran, agent, server


@BOTH_HOWS
@BOTH_PROTOCOLS
@pytest.mark.parametrize(("arguments", "says"), BAD)
async def test_f33_bad_arguments_go_back_to_the_model(
    protocol: Protocol, how: How, arguments: str, says: str
) -> None:
    ran, agent, server = await _ran(protocol, how, [("c1", "look", arguments)])
    assert ran == []
    (answer,) = answers_of(agent)
    assert answer.startswith("Error: ")
    assert says in answer
    assert len(answer) < 3_000
    assert len(server.requests[1].body) < 10_000


@BOTH_HOWS
@BOTH_PROTOCOLS
async def test_f33_five_megabytes_of_arguments_are_passed_on(protocol: Protocol, how: How) -> None:
    ran, *_ = await _ran(protocol, how, [("c1", "look", json.dumps({"path": "x" * 5_000_000}))])
    assert [len(path) for path in ran] == [5_000_000]


@BOTH_HOWS
@BOTH_PROTOCOLS
async def test_f33_of_a_name_given_twice_the_last_counts(protocol: Protocol, how: How) -> None:
    ran, *_ = await _ran(protocol, how, [("c1", "look", '{"path": "a", "path": "b"}')])
    assert ran == ["b"]


@BOTH_HOWS
@BOTH_PROTOCOLS
@pytest.mark.parametrize("name", ["Look", "LOOK", "look_at", "rm", "functions.look", "é\x1b[0m"])
async def test_f34_a_tool_that_was_not_offered_is_not_run(
    protocol: Protocol, how: How, name: str
) -> None:
    ran, agent, _ = await _ran(protocol, how, [("c1", name, A), ("c2", "look", B)])
    assert ran == ["b"]
    refused, done = answers_of(agent)
    assert refused.startswith(f"Error: there is no tool {name!r}")
    assert "look" in refused
    assert done == "saw b"


@BOTH_HOWS
@BOTH_PROTOCOLS
async def test_f35_half_characters_are_replaced_once(protocol: Protocol, how: How) -> None:
    # json.dumps writes a lone surrogate as its escape, as servers do.
    text = "a\ud83d b\udc00 c\U0001f600 \\ud83d"
    answer = (
        json_answer(protocol.body(text))
        if how == "chat"
        else protocol.stream(protocol.events(*text))
    )
    script = [answer, protocol.well("chat")]
    async with FaultServer(script) as server, connect(server.url, protocol) as provider:
        found = await ask(provider, how)
        assert found == "a\ufffd b\ufffd c\U0001f600 \\ud83d"
        assert votes(provider) == (1, 0, 0)
        again = [*HI, Message(role="assistant", content=found), *HI]
        await provider.chat(again, model=MODEL)
        sent = server.requests[-1].body.decode()
        assert json.dumps(found, ensure_ascii=False) in sent


@BOTH_HOWS
@BOTH_PROTOCOLS
async def test_f35_half_characters_in_arguments_do_no_harm(protocol: Protocol, how: How) -> None:
    ran, agent, server = await _ran(protocol, how, [("c1", "look", '{"path": "a\\ud83d"}')])
    (answer,) = answers_of(agent)
    assert ran == ["a\ufffd"] or answer.startswith("Error: the call was not run")
    assert len(server.requests) == 2


@BOTH_PROTOCOLS
async def test_f35_half_characters_of_the_user_are_sent_as_something(protocol: Protocol) -> None:
    odd = [Message.model_construct(role="user", content="a\ud83d", attachments=[])]
    async with FaultServer(protocol.good) as server, connect(server.url, protocol) as provider:
        assert (await provider.chat(odd, model=MODEL)).content == "Hello"
        assert "a?" in server.requests[0].body.decode()
