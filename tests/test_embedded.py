from __future__ import annotations

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from victor import Agent, create_provider
from victor.agent.events import RunFinished, RunResult, TextDelta, ToolFinished
from victor.errors import ContextWindowExceededError, StreamInterruptedError
from victor.providers.base import BaseProvider
from victor.providers.local import LocalProvider
from victor.tools.workspace import workspace_tools
from victor.types import Message

# One child process for all of them, so that it reads what their prompts begin with only once.
pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="module")]

SYSTEM = "You are victor. You answer questions about the files of a project."


@dataclass(frozen=True)
class Fact:
    question: str
    answer: str


def write_workspace(folder: Path, chance: random.Random) -> list[Fact]:
    """Write files full of facts that no model can know, and return what to ask about them."""
    number = chance.randint
    people = chance.sample(["Brandt", "Okafor", "Lindqvist", "Moreau", "Tanaka", "Silva"], 4)
    towns = chance.sample(["Aarhus", "Ghent", "Turku", "Braga", "Graz", "Cork"], 2)
    port, pool, ttl, retries = number(2000, 9999), number(11, 99), number(100, 900), number(3, 9)
    phone, room, year = (
        f"555-{number(1000, 9999)}",
        f"{number(1, 9)}.{number(10, 99)}",
        number(1990, 2024),
    )
    boxes, labels, scanners = number(100, 999), number(1000, 9999), number(3, 30)
    budget, parcels, offset = number(1000, 9000), number(200, 900), number(11, 99)
    language = chance.choice(["Rust", "Kotlin", "Elixir", "Haskell"])
    engine = chance.choice(["postgres", "mariadb", "duckdb"])
    files = {
        "README.md": f"# Heron\n\nHeron sorts parcels by weight. It is written in {language}.\n"
        f"The project was started in {year}.\n\n## Install\n\nRun `make heron-{number(2, 9)}`.\n",
        "config/service.yaml": f"server:\n  host: 0.0.0.0\n  port: {port}\n  retries: {retries}\n"
        f"database:\n  engine: {engine}\n  pool_size: {pool}\ncache:\n  ttl_seconds: {ttl}\n",
        "docs/contacts.txt": f"Maintainer: {people[0]}\nSecurity officer: {people[1]}\n"
        f"Office: room {room} in {towns[0]}\nPhone: {phone}\n",
        "notes/meeting.md": f"# Meeting\n\n- The summer party is in {towns[1]}.\n"
        f"- The budget for the new scanner is {budget} euros.\n"
        f"- {people[2]} takes over the translation.\n- {people[3]} writes the handbook.\n",
        "stock.csv": f"item,count\nboxes,{boxes}\nlabels,{labels}\nscanners,{scanners}\n",
        "src/limits.py": f"MAX_PARCELS = {parcels}\nWEIGHT_OFFSET = {offset}\n",
    }
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return [
        Fact("Which port does the server use?", str(port)),
        Fact("How many retries does the server make?", str(retries)),
        Fact("Which database engine is used?", engine),
        Fact("What is the pool size of the database?", str(pool)),
        Fact("What is the cache ttl in seconds?", str(ttl)),
        Fact("Who is the maintainer?", people[0]),
        Fact("Who is the security officer?", people[1]),
        Fact("In which room is the office?", room),
        Fact("What is the phone number in the contacts?", phone),
        Fact("In which town is the summer party?", towns[1]),
        Fact("How much is the budget for the new scanner?", str(budget)),
        Fact("Who takes over the translation?", people[2]),
        Fact("Who writes the handbook?", people[3]),
        Fact("How many boxes are in stock?", str(boxes)),
        Fact("How many labels are in stock?", str(labels)),
        Fact("How many scanners are in stock?", str(scanners)),
        Fact("What is the value of MAX_PARCELS?", str(parcels)),
        Fact("What is the value of WEIGHT_OFFSET?", str(offset)),
        Fact("Which programming language is Heron written in?", language),
        Fact("In which year was the project started?", str(year)),
    ]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def local(weights: Path) -> AsyncIterator[LocalProvider]:
    async with LocalProvider(str(weights)) as provider:
        yield provider


def _agent(provider: BaseProvider, folder: Path) -> Agent:
    return Agent(
        provider,
        tools=workspace_tools(folder, writable=False, compact=True),
        workspace=folder,
        system=SYSTEM,
        temperature=0,
    )


async def _run(agent: Agent, question: str, *, streaming: bool) -> tuple[RunResult, list[object]]:
    if not streaming:
        return await agent.run(question), []
    events: list[object] = [event async for event in agent.stream(question)]
    last = events[-1]
    assert isinstance(last, RunFinished)
    return last.result, events


def _check_structure(result: RunResult, events: list[object], *, streaming: bool) -> None:
    """Every answer, right or wrong, comes by the protocol."""
    assert result.stop_reason == "stop"
    assert result.content.strip()
    assert result.usage.prompt_tokens
    assert result.usage.completion_tokens
    asked = [call.id for message in result.messages for call in message.tool_calls or ()]
    answered = [message.tool_call_id for message in result.messages if message.role == "tool"]
    assert asked == answered
    for message in result.messages:
        for call in message.tool_calls or ():
            assert call.error is None
            assert call.name in {"search", "read", "list_files"}
    if streaming:
        text = "".join(event.text for event in events if isinstance(event, TextDelta))
        assert text == result.content
        finished = [event for event in events if isinstance(event, ToolFinished)]
        assert len(finished) == result.tool_calls


async def test_it_answers_facts_that_were_just_written_to_random_files(
    local: LocalProvider, tmp_path: Path
) -> None:
    seed = random.SystemRandom().randrange(10**6)
    facts = write_workspace(tmp_path, random.Random(seed))  # noqa: S311 - facts, not secrets
    wrong: list[str] = []
    for number, fact in enumerate(facts):
        streaming = number % 2 == 0
        agent = _agent(local, tmp_path)
        result, events = await _run(agent, fact.question, streaming=streaming)
        _check_structure(result, events, streaming=streaming)
        if fact.answer.lower() not in result.content.replace(",", "").lower():
            wrong.append(f"{fact.question} {fact.answer}: {result.content}")
    assert len(facts) == 20
    assert len(wrong) <= 6, f"seed {seed}: {wrong}"


async def test_it_does_arithmetic_and_small_talk_without_a_tool(
    local: LocalProvider, tmp_path: Path
) -> None:
    write_workspace(tmp_path, random.Random(1))  # noqa: S311 - facts, not secrets
    agent = _agent(local, tmp_path)
    result = await agent.run("What is 17 + 25?")
    assert "42" in result.content
    assert result.tool_calls == 0


async def test_it_lists_the_files_of_the_workspace(local: LocalProvider, tmp_path: Path) -> None:
    write_workspace(tmp_path, random.Random(1))  # noqa: S311 - facts, not secrets
    result = await _agent(local, tmp_path).run("Which files are there?")
    assert "stock.csv" in result.content
    assert any(message.name == "list_files" for message in result.messages)


async def test_temperature_zero_gives_the_same_answer_twice(
    local: LocalProvider, tmp_path: Path
) -> None:
    write_workspace(tmp_path, random.Random(2))  # noqa: S311 - facts, not secrets
    answers = [
        (await _agent(local, tmp_path).run("Who writes the handbook?")).content for _ in range(2)
    ]
    assert answers[0] == answers[1]


async def test_too_long_a_conversation_is_named_with_its_counts(local: LocalProvider) -> None:
    message = Message(role="user", content="word " * 6000)
    with pytest.raises(ContextWindowExceededError) as caught:
        await local.chat([message], model="any")
    assert caught.value.limit == 4096
    assert (caught.value.used or 0) > 6000
    assert local.breaker is not None
    assert local.breaker.state == "closed"


async def test_a_child_killed_in_mid_answer_interrupts_it_and_the_next_call_starts_another(
    local: LocalProvider,
) -> None:
    message = Message(role="user", content="Count from one to three hundred, in words.")
    pieces: list[str] = []

    async def read() -> None:
        async for chunk in local.stream([message], model="any", max_tokens=800):
            pieces.append(chunk.content)
            if len(pieces) == 5:
                local.server.kill()

    with pytest.raises(StreamInterruptedError) as caught:
        await read()
    assert caught.value.partial == "".join(pieces)
    answer = await local.chat([Message(role="user", content="Say hello.")], model="any")
    assert answer.content


async def test_an_openai_compatible_provider_runs_against_the_same_server(
    local: LocalProvider,
) -> None:
    endpoint = await local.server.ensure()
    async with create_provider(
        "openai-compatible", base_url=endpoint.base_url, api_key=endpoint.api_key
    ) as provider:
        message = Message(role="user", content="What is the capital of France? One word.")
        answer = await provider.chat([message], model="m", temperature=0, max_tokens=20)
        assert "Paris" in answer.content
        assert answer.stop_reason == "stop"
        assert answer.usage is not None
        chunks = [
            chunk
            async for chunk in provider.stream([message], model="m", temperature=0, max_tokens=20)
        ]
        assert "".join(chunk.content for chunk in chunks) == answer.content
        assert [chunk.is_final for chunk in chunks].count(True) == 1
        assert chunks[-1].is_final
        assert chunks[-1].usage is not None


async def test_a_schema_is_enforced_by_the_server(local: LocalProvider) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "rank": {"type": "integer"}},
        "required": ["city", "rank"],
        "additionalProperties": False,
    }
    answer = await local.chat(
        [Message(role="user", content="Name a city and rank it.")],
        model="any",
        response_format={"type": "json_schema", "json_schema": {"name": "s", "schema": schema}},
    )
    from pydantic_core import from_json

    value = from_json(answer.content)
    assert isinstance(value["city"], str)
    assert isinstance(value["rank"], int)
