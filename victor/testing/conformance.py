"""Does a provider keep its contract? A few small requests that a real endpoint can be asked.

    report = await conformance.run(MyProvider(), model="large")
    assert report.ok, str(report)

For authors of providers, in pytest, and for `victor providers check`. What is sent costs a few
hundred tokens. Knows no vendor, and neither keys nor settings.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, runtime_checkable

from victor.errors import (
    ConfigError,
    ModelNotFoundError,
    ProviderError,
    ProviderInvalidRequestError,
    VictorError,
)
from victor.providers.base import BaseProvider
from victor.resilience.events import one_line
from victor.tools.base import tool
from victor.types import CompletionResponse, Message, ToolCall, Usage

__all__ = ["UNKNOWN_MODEL", "Check", "Report", "Status", "run"]

Status: TypeAlias = Literal["failed", "ok", "skipped"]

UNKNOWN_MODEL = "victor-conformance-no-such-model"
"""No endpoint serves it."""

_MAX_TOKENS = 2048
"""Room for the thinking of a model that thinks before it says one word."""
_STOP_REASONS = frozenset({"stop", "tool_calls", "length", "content_filter", "error", "other"})
_HELLO = Message(role="user", content="Answer with the one word: ready")
_WEATHER = Message(
    role="user", content="Use the tool to get the weather in Paris for the next 3 days."
)


@dataclass(frozen=True, slots=True)
class Check:
    """What one check found."""

    name: str
    status: Status
    detail: str
    """One line: what was seen, or why not."""
    seconds: float = 0.0
    error: Exception | None = None
    """What it failed with, where it was an exception."""

    def __str__(self) -> str:
        return f"{self.status:<7}  {self.name:<12}  {self.detail}"


@dataclass(frozen=True, slots=True)
class Report:
    """What all checks found."""

    provider: str
    model: str
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """Whether none failed."""
        return all(check.status != "failed" for check in self.checks)

    def __str__(self) -> str:
        return "\n".join([f"{self.provider} / {self.model}", *map(str, self.checks)])


async def run(
    provider: BaseProvider,
    *,
    model: str | None = None,
    on_check: Callable[[Check], object] | None = None,
) -> Report:
    """Check a provider; what it gets wrong is in the report and not raised.

    Args:
        provider: the provider; it is not closed.
        model: the model to ask; by default the provider's own, else the first that it lists.
        on_check: is told of each check when it is over.

    Raises:
        ConfigError: no model is named, and the provider has no default and an empty list, or none.
    """
    found: list[Check] = []

    def tell(check: Check) -> None:
        found.append(check)
        if on_check is not None:
            on_check(check)

    session = _Session(provider, model or provider.default_model or "")
    models = await _judged("models", session.models)
    tell(models)
    if not session.model and models.error is None:
        raise ConfigError(f"{provider.name} has no default model and lists none: name a model")
    rest: tuple[tuple[str, Callable[[], Awaitable[str]]], ...] = (
        ("chat", session.chat),
        ("stream", session.stream),
        ("tool call", session.tool_call),
        ("tool result", session.tool_result),
        ("wrong model", session.wrong_model),
        ("usage", session.usage),
    )
    hindrance = None if session.model else "as no model is known"
    for name, check in rest:
        if hindrance is not None:
            tell(Check(name, "skipped", hindrance))
            continue
        tell(await _judged(name, check))
        if name == "chat" and found[-1].status == "failed":
            hindrance = "as the chat failed"
    return Report(provider.name, session.model, tuple(found))


class _Broken(Exception):  # noqa: N818 - a finding
    """The contract is not kept."""


class _Skipped(Exception):  # noqa: N818 - a finding
    """There is nothing to check."""


async def _judged(name: str, check: Callable[[], Awaitable[str]]) -> Check:
    began = time.monotonic()
    error: Exception | None = None
    status: Status = "ok"
    try:
        detail = await check()
    except _Skipped as reason:
        status, detail = "skipped", str(reason)
    except _Broken as reason:
        status, detail = "failed", str(reason)
    except VictorError as failure:
        status, detail, error = "failed", one_line(failure), failure
    except Exception as bug:  # noqa: BLE001 - an author's bug is a finding, not our end
        detail = f"raised {one_line(bug)}, which is no ProviderError"
        status, error = "failed", bug
    return Check(name, status, detail, time.monotonic() - began, error)


@runtime_checkable
class _ListsModels(Protocol):
    async def list_models(self) -> list[str]: ...


@tool(name="get_weather")
def _get_weather(city: str, days: int) -> str:
    """Tell the weather of the coming days.

    Args:
        city: such as "London".
        days: how many days.
    """
    return f"{city}: sunny, 21 degrees, for {days} days"


@dataclass(slots=True)
class _Session:
    """The checks, and what the earlier ones leave to the later ones."""

    provider: BaseProvider
    model: str
    usages: dict[str, Usage | None] = field(default_factory=dict)
    called: tuple[Message, ToolCall] | None = None

    async def models(self) -> str:
        if not isinstance(self.provider, _ListsModels):
            raise _Skipped("it has no list_models()")
        names = await self.provider.list_models()
        if not names:
            raise _Broken("the list of models is empty")
        self.model = self.model or names[0]
        known = "" if self.model in names else f", and {self.model} is not among them"
        return f"{len(names)} model{'' if len(names) == 1 else 's'}{known}"

    async def chat(self) -> str:
        answer = await self._ask([_HELLO])
        if not answer.content.strip():
            raise _Broken(f"the answer has no text (stop reason {answer.stop_reason!r})")
        _expect_reason(answer.stop_reason)
        self.usages["chat"] = answer.usage
        return f"answered {_quoted(answer.content)}"

    async def stream(self) -> str:
        stream = self.provider.stream([_HELLO], model=self.model, max_tokens=_MAX_TOKENS)
        chunks = [chunk async for chunk in stream]
        finals = [at for at, chunk in enumerate(chunks) if chunk.is_final]
        if finals != [len(chunks) - 1]:
            raise _Broken(
                f"exactly one chunk has to be final, and it is the last: of {len(chunks)} chunks "
                f"these are final: {finals or 'none'}"
            )
        last = chunks[-1]
        before = "".join(chunk.content for chunk in chunks[:-1])
        if before and last.content == before:
            raise _Broken("the final chunk repeats the whole text")
        if not (before + last.content).strip():
            raise _Broken("the chunks have no text")
        _expect_reason(last.stop_reason)
        self.usages["stream"] = last.usage
        return f"{len(chunks)} chunks, the last one final"

    async def tool_call(self) -> str:
        if not self.provider.supports_tools():
            raise _Skipped("it says that it takes no tools")
        how = "forced"
        try:
            answer = await self._ask([_WEATHER], tool_choice=_get_weather.name)
        except ProviderInvalidRequestError:  # not every API can force a call
            how = "asked for"
            answer = await self._ask([_WEATHER], offer=True)
        if not answer.tool_calls:
            raise _Broken(f"no call came, but {_quoted(answer.content)}")
        call = answer.tool_calls[0]
        problem = call.error or _get_weather.problem(call.arguments)
        if call.name != _get_weather.name or problem or not call.id:
            raise _Broken(f"the call cannot be run: {call.name} {call.arguments}: {problem}")
        _expect_reason(answer.stop_reason)
        self.called = answer.to_message(), call
        return f"{how}, with arguments that fit"

    async def tool_result(self) -> str:
        if self.called is None:
            raise _Skipped("as there was no call")
        message, call = self.called
        weather = str(_get_weather(**call.arguments))
        results = [
            Message(role="tool", content=weather, tool_call_id=one.id, name=one.name)
            for one in message.tool_calls or [call]
        ]
        answer = await self._ask([_WEATHER, message, *results], offer=True)
        if not answer.content.strip() and not answer.tool_calls:
            raise _Broken("the answer to a tool's result is empty")
        return f"answered {_quoted(answer.content) if answer.content else 'with a call'}"

    async def wrong_model(self) -> str:
        try:
            await self.provider.chat([_HELLO], model=UNKNOWN_MODEL, max_tokens=_MAX_TOKENS)
        except ModelNotFoundError as error:
            _expect_name(error, self.provider)
            return "refused with ModelNotFoundError"
        except ProviderError as error:
            _expect_name(error, self.provider)
            if error.retryable:
                raise
            return f"refused with {type(error).__name__}"
        raise _Skipped("it answers whatever the model is called, as servers of one model do")

    async def usage(self) -> str:
        missing = [
            name
            for name, usage in self.usages.items()
            if usage is None or not usage.prompt_tokens or not usage.completion_tokens
        ]
        if missing:
            raise _Skipped(f"not reported by {' and '.join(missing)}: costs cannot be counted")
        shown = (f"{name} {usage.total_tokens}" for name, usage in self.usages.items() if usage)
        return f"tokens: {', '.join(shown)}"

    async def _ask(
        self, messages: list[Message], *, tool_choice: str | None = None, offer: bool = False
    ) -> CompletionResponse:
        options: dict[str, Any] = {} if tool_choice is None else {"tool_choice": tool_choice}
        tools = [_get_weather.definition] if offer or tool_choice else None
        answer = await self.provider.chat(
            messages, model=self.model, max_tokens=_MAX_TOKENS, tools=tools, **options
        )
        if not isinstance(answer, CompletionResponse):
            raise _Broken(f"chat returned a {type(answer).__name__}, not a CompletionResponse")
        return answer


def _quoted(text: str) -> str:
    """Return the beginning of an answer, quoted."""
    line = " ".join(text.split())
    return repr(line if len(line) <= 40 else line[:39] + "…")


def _expect_reason(reason: str | None) -> None:
    if reason not in _STOP_REASONS:
        raise _Broken(f"the stop reason is {reason!r}: one of {', '.join(sorted(_STOP_REASONS))}")


def _expect_name(error: ProviderError, provider: BaseProvider) -> None:
    if error.provider != provider.name:
        raise _Broken(f"the error names the provider {error.provider!r}, not {provider.name!r}")
