from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.cli.support import LLM, Reply, Terminal, terminal
from victor.cli.compose import Plan
from victor.cli.main import main
from victor.config.choice import Choice
from victor.config.fallbacks import Fallback
from victor.config.settings import Failover, Settings
from victor.errors import ConfigError, UnknownProviderError
from victor.providers.failover import FailoverProvider
from victor.providers.http import HTTPProvider

DOWN = Reply("down for repairs", status=401)  # not retried, and it moves on


@pytest.fixture(autouse=True)
def _at_home(environ: Mapping[str, str], workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("VICTOR_", "XDG_")) or name.endswith(("_API_KEY", "_TOKEN")):
            monkeypatch.delenv(name)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(workspace)


@pytest.fixture
def second() -> Iterator[LLM]:
    server = LLM()
    yield server
    server.close()


Configure = Callable[..., Path]


@pytest.fixture
def configure(llm: LLM, second: LLM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Configure:
    def write(failover: str) -> Path:
        file = tmp_path / "config.toml"
        file.write_text(
            'provider = "one"\nfallback = ["two/backup"]\n'
            f'failover = "{failover}"\n'
            f'[providers.one]\nbase_url = "{llm.url}"\ndefault_model = "main"\n'
            f'[providers.two]\nbase_url = "{second.url}"\n',
            encoding="utf-8",
        )
        monkeypatch.setenv("VICTOR_CONFIG", str(file))
        return file

    return write


def test_with_auto_the_fallback_answers_and_that_is_told(
    llm: LLM, second: LLM, configure: Configure, capsys: pytest.CaptureFixture[str]
) -> None:
    configure("auto")
    llm.script, second.script = [DOWN], [Reply("It is 42.")]
    assert main(["run", "What is the answer?"]) == 0
    out, err = capsys.readouterr()
    assert out == "It is 42.\n"
    assert "⇢ one/main → two/backup: " in err
    assert "down for repairs" in err
    assert second.requests[0]["model"] == "backup"
    assert second.requests[0]["messages"] == llm.requests[0]["messages"]


def test_json_says_that_it_moved(
    llm: LLM, second: LLM, configure: Configure, capsys: pytest.CaptureFixture[str]
) -> None:
    configure("auto")
    llm.script, second.script = [DOWN], [Reply("It is 42.")]
    assert main(["run", "--output", "json", "?"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [event["type"] for event in found["events"]] == [
        "attempt_started",
        "attempt_failed",
        "failed_over",
        "attempt_started",
    ]
    move = found["events"][2]
    assert (move["old"], move["new"]) == ("one/main", "two/backup")
    assert found["provider"] == "two"


@pytest.mark.parametrize("failover", ["ask", "never"])
def test_where_nobody_can_be_asked_or_nobody_wants_it_nothing_moves(
    failover: str, llm: LLM, second: LLM, configure: Configure, capsys: pytest.CaptureFixture[str]
) -> None:
    configure(failover)
    llm.script, second.script = [DOWN], [Reply("no")]
    assert main(["run", "?"]) == 77
    assert "down for repairs" in capsys.readouterr().err
    assert second.requests == []


@pytest.fixture
def opened(
    llm: LLM, second: LLM, configure: Configure, workspace: Path, environ: dict[str, str]
) -> Iterator[Terminal]:
    llm.script, second.script = [DOWN], [Reply("It is 42.")]
    variables = {**environ, "VICTOR_CONFIG": str(configure("ask"))}
    with terminal(["run", "?"], cwd=workspace, environ=variables) as screen:
        yield screen


@pytest.mark.parametrize(("typed", "code"), [("y", 0), ("n", 77), ("", 77)])
def test_on_a_terminal_the_person_is_asked(
    typed: str, code: int, second: LLM, opened: Terminal
) -> None:
    opened.see("one/main cannot answer: ")
    assert "down for repairs" in opened.see("Ask two/backup instead?")
    # Keys that come too early are no answer.
    opened.type_until(f"{typed}\r", "It is 42." if code == 0 else "victor: error")
    assert opened.end() == code
    assert len(second.requests) == (1 if code == 0 else 0)


def plan(*fallback: Fallback, provider: str = "groq", failover: Failover = "ask") -> Plan:
    choice = Choice(provider, "m" if provider == "groq" else None, "test")
    return Plan(
        choice=choice,
        workspace=Path.cwd(),
        mode="ask",
        max_turns=7,
        settings=Settings(fallback=fallback, failover=failover),
    )


async def test_a_fallback_that_is_the_choice_itself_is_none() -> None:
    given = [Fallback("groq"), Fallback("groq/m"), Fallback("groq/other", 3)]
    async with plan(*given, failover="auto").provider() as provider:
        assert isinstance(provider, FailoverProvider)
        labels = [(one.provider, one.model, one.quality) for one in provider.routes[1:]]
        assert labels == [("groq", "other", 3)]
        assert provider.default_model == "m"


async def test_without_a_fallback_the_provider_is_the_chosen_one() -> None:
    async with plan().provider() as provider:
        assert isinstance(provider, HTTPProvider)


async def test_what_is_meant_for_this_machine_stays_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "tiny.gguf"
    weights.write_bytes(b"GGUF" + bytes(64))
    monkeypatch.setenv("VICTOR_LOCAL_MODEL", str(weights))
    async with plan(Fallback("openai"), provider="local", failover="auto").provider() as provider:
        assert provider.name == "local"


@pytest.mark.parametrize(
    ("fallback", "error", "says"),
    [
        (Fallback("opena"), UnknownProviderError, "did you mean openai"),
        (Fallback("/m"), ConfigError, "a route is a provider, a name"),
    ],
    ids=["unknown", "no-route"],
)
def test_a_fallback_that_cannot_be_is_told_at_once(
    fallback: Fallback, error: type[ConfigError], says: str
) -> None:
    with pytest.raises(error, match=says):
        plan(fallback).provider()
