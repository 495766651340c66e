"""The agent: asks a model, runs the tools it calls, gives it the results, until it answers.

One loop for streaming and not, written as a generator of events. Knows `BaseProvider` and
`Toolset`; no vendor and no terminal.
"""

from __future__ import annotations

import weakref
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, Self

from victor.agent.context import Conversation
from victor.agent.events import (
    AgentEvent,
    RunFinished,
    RunResult,
    ToolFinished,
    TurnFinished,
    TurnStarted,
)
from victor.agent.model import Turn
from victor.agent.permissions import Permissions, checked_mode
from victor.agent.rules import rules_of
from victor.agent.toolrun import Approve, ToolRunner
from victor.blocking import run_blocking
from victor.config.settings import Mode
from victor.errors import (
    ConfigError,
    ContextWindowExceededError,
    ModelNotFoundError,
    ProviderConnectionError,
    ProviderError,
    ProviderInvalidRequestError,
    VictorError,
)
from victor.providers.base import BaseProvider
from victor.providers.registry import create_provider
from victor.resilience.votes import Vote, judge
from victor.tools.base import Tool, ToolContext, Toolset
from victor.tools.context import Ask, Memory
from victor.types import Attachment, Message, ToolCall, Usage

__all__ = ["Agent"]

_MOST_REASON = 300
_TAKEN = frozenset({"max_tokens", "messages", "model", "on_event", "temperature", "tools"})


class Agent:
    """A model with tools and a conversation.

    Each run continues the conversation of the one before; `clear()` begins a new one. An agent runs
    one prompt at a time.

    Args:
        provider: a provider, or the name of one; then the agent makes it and `close` closes it.
        model: the model to ask; None takes the provider's default.
        tools: tools, or functions that become tools.
        system: the system prompt.
        max_turns: how often the model may be asked in one run.
        max_tool_calls: how many calls one run may make.
        max_invalid: how many answers in a row may consist of calls that cannot be run as they were
            sent: of no such tool, or with wrong arguments.
        mode: what may run without asking (`victor.agent.permissions`): `"ask"`, `"accept-edits"`,
            `"plan"` or `"auto"`.
        rules: what comes before the mode, as in the settings: `{"allow": ["shell(git log *)"],
            "deny": ["read(secrets/**)"]}`, also with `"ask"`; or a workspace's `Permissions`. None:
            the mode alone decides.
        approve: asks a person where the mode says so; None refuses.
        ask: puts a tool's question to a person (`ToolContext.ask`); None: there is nobody.
        memory: what tools remember, for agents that share it; whoever gives it closes it. None
            makes one that `close` closes.
        workspace: the directory tools work in; None is the current one.
        messages: an earlier conversation to continue.
        temperature: None leaves it to the provider.
        max_tokens: cap of each answer; None leaves it to the provider.
        options: what every call of the provider gets besides, such as `reasoning_effort`, `seed`,
            `stop`, or the guard's `timeout` and `max_wait`.

    Raises:
        ConfigError: no model is named and the provider has no default; two tools share a name;
            there is no such mode; a rule cannot be read; an option has a parameter of its own.
    """

    def __init__(
        self,
        provider: BaseProvider | str,
        *,
        model: str | None = None,
        tools: Iterable[Tool | Callable[..., Any]] = (),
        system: str | None = None,
        max_turns: int = 50,
        max_tool_calls: int = 200,
        max_invalid: int = 5,
        mode: Mode = "ask",
        rules: Permissions | Mapping[str, Sequence[str]] | None = None,
        approve: Approve | None = None,
        ask: Ask | None = None,
        memory: Memory | None = None,
        workspace: Path | None = None,
        messages: Sequence[Message] = (),
        temperature: float | None = None,
        max_tokens: int | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self._owns_provider = isinstance(provider, str)
        self.provider = create_provider(provider) if isinstance(provider, str) else provider
        if not isinstance(self.provider, BaseProvider):
            raise ConfigError(
                f"provider has to be a provider or the name of one, such as 'openai': {provider!r}"
            )
        offered: object = tools
        if isinstance(offered, str):
            raise ConfigError(f"tools have to be functions, not {offered!r}; see victor.tools")
        name = model or self.provider.default_model
        if name is None:
            raise ConfigError(
                f"{self.provider.name} has no default model: name one with model=… (--model)"
            )
        if max_turns < 1 or max_invalid < 1 or max_tool_calls < 0:
            raise ConfigError(
                "max_turns and max_invalid have to be at least 1, and max_tool_calls at least 0"
            )
        self.model = name
        self.max_turns = max_turns
        self.max_tool_calls = max_tool_calls
        self.max_invalid = max_invalid
        self.workspace = workspace or Path.cwd()
        self._system = system
        self._ask = ask
        self._owns_memory = memory is None
        self._memory = Memory() if memory is None else memory
        if rules is not None and not isinstance(rules, Permissions):
            rules = Permissions(self.workspace, rules_of(rules))
        self._runner = ToolRunner(Toolset(tools), checked_mode(mode), approve, rules)
        self._conversation = Conversation(messages, system=system)
        self._last_run: _Run | None = None
        if temperature is None:
            temperature = self.provider.default_temperature
        given = {"temperature": temperature, "max_tokens": max_tokens}
        self._options = _free(options or {})
        self._options |= {key: value for key, value in given.items() if value is not None}

    @property
    def messages(self) -> tuple[Message, ...]:
        """The conversation so far."""
        return tuple(self._conversation.messages)

    @property
    def mode(self) -> Mode:
        """What may run without asking; may be set between runs."""
        return self._runner.mode

    @mode.setter
    def mode(self, mode: Mode) -> None:
        self._runner.mode = checked_mode(mode)

    def clear(self) -> None:
        """Begin a new conversation with the next run."""
        self._conversation = Conversation(system=self._system)

    async def run(self, prompt: str, *, attachments: Sequence[Attachment] = ()) -> RunResult:
        """Work on a prompt until the model has answered or a budget is spent.

        Args:
            prompt: what the user says.
            attachments: images or documents that go with it.

        Raises:
            ProviderError: the model could not be asked; its type says why. The conversation stays
                valid, and a prompt that got no answer at all is not kept in it.
            RuntimeError: the agent is running already.
        """
        result: RunResult | None = None
        async for event in self._begin(prompt, attachments, streaming=False):
            if isinstance(event, RunFinished):
                result = event.result
        assert result is not None  # noqa: S101 - a run that does not raise ends with its result
        return result

    def run_sync(self, prompt: str, *, attachments: Sequence[Attachment] = ()) -> RunResult:
        """Do as `run` does, from code without an event loop."""
        return run_blocking(self.run(prompt, attachments=attachments))

    def stream(
        self, prompt: str, *, attachments: Sequence[Attachment] = ()
    ) -> AsyncGenerator[AgentEvent, None]:
        """Work on a prompt and yield every step as it happens; the last event is `RunFinished`.

        Ending the iteration early interrupts the run; the conversation stays valid. To close the
        connection at once and not a moment later, leave with `aclose()`. Arguments and errors are
        those of `run`.
        """
        return self._begin(prompt, attachments, streaming=True)

    async def close(self) -> None:
        """End what its tools left running, and close the provider, if the agent made it."""
        if self._owns_memory:
            await self._memory.aclose()
        if self._owns_provider:
            await self.provider.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    # ------------------------------------------------------------------ the loop

    def _begin(
        self, prompt: str, attachments: Sequence[Attachment], *, streaming: bool
    ) -> AsyncGenerator[AgentEvent, None]:
        run = _Run(Message(role="user", content=prompt, attachments=list(attachments)))
        events = self._events(run, streaming=streaming)
        run.reader = weakref.ref(events)
        return events

    async def _events(self, run: _Run, *, streaming: bool) -> AsyncGenerator[AgentEvent, None]:
        self._take_over(run)
        context = ToolContext(
            self.workspace, request=run.prompt.content, memory=self._memory, ask=self._ask
        )
        try:
            while True:
                run.asked += 1
                yield TurnStarted(run.asked)
                turn = run.turn = Turn(self.provider, self._model_options(context))
                try:
                    asked = (turn.stream if streaming else turn.ask)(run.messages)
                    async with aclosing(asked) as said:
                        async for event in said:
                            yield event
                except ProviderInvalidRequestError as error:
                    if turn.partial or not _without_files(run.conversation, error):
                        raise
                    continue
                except Exception as error:
                    if (typed := _typed(error, self.provider.name)) is None:
                        raise
                    raise typed from error
                message = run.answered(turn)
                yield TurnFinished(message, turn.usage, turn.stop_reason)
                calls = message.tool_calls or []
                spent = self._spent(run, len(calls))
                async with aclosing(self._results(run, calls, context, spent)) as done:
                    async for tool_event in done:
                        yield tool_event
                if spent is None and self._runner.invalid >= self.max_invalid:
                    spent = "invalid_calls"
                if not calls or spent:
                    result = run.result(message, spent or turn.stop_reason or "stop", self.model)
                    run.end()
                    yield RunFinished(result)
                    return
        finally:
            run.end()

    async def _results(
        self, run: _Run, calls: Sequence[ToolCall], context: ToolContext, spent: str | None
    ) -> AsyncGenerator[AgentEvent, None]:
        """Answer the calls of a message."""
        if spent is not None:
            for call in calls:
                why = f"Error: not run, as the run's {spent} is spent."
                run.conversation.add_result(call, why)
                yield ToolFinished(call, why, is_error=True, seconds=0.0)
        elif calls:
            async with aclosing(self._runner.run(calls, context)) as done:
                async for event in done:
                    if isinstance(event, ToolFinished):
                        run.conversation.add_result(event.call, event.content, event.attachments)
                        run.tool_calls += 1
                    yield event

    def _take_over(self, run: _Run) -> None:
        last = self._last_run
        if last is not None and not last.over:
            if last.reader() is not None:
                raise RuntimeError(
                    "this agent is running already: read that run's events to their end or close "
                    "them first, or make another agent to run side by side"
                )
            # Its reader left without closing it; the event loop does that when it gets to it.
            last.end()
        self._last_run = run
        self._runner.invalid = 0
        run.begin(self._conversation)

    def _model_options(self, context: ToolContext) -> dict[str, Any]:
        tools = self._runner.tools.definitions(context)
        return {"model": self.model, "tools": tools or None, **self._options}

    def _spent(self, run: _Run, calls: int) -> str | None:
        if not calls:
            return None
        if run.asked >= self.max_turns:
            return "max_turns"
        if run.tool_calls + calls > self.max_tool_calls:
            return "max_tool_calls"
        return None


def _free(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return options of calls that nothing else here decides about."""
    if taken := _TAKEN.intersection(options):
        names = ", ".join(sorted(taken))
        raise ConfigError(f"options cannot hold {names}: an agent has its own way to set them")
    return dict(options)


def _typed(error: Exception, provider: str) -> ProviderError | None:
    """Return what an error of an author's HTTP library means; None for ours, and for a bug."""
    verdict = None if isinstance(error, VictorError) else judge(error).vote
    if verdict not in {Vote.FAIL, Vote.ALIVE}:
        return None
    kind = ProviderConnectionError if verdict is Vote.FAIL else ProviderError
    text = f"{provider}: {type(error).__name__}: {error}".removesuffix(": ")
    return kind(text, provider=provider, raw_error=error)


def _without_files(conversation: Conversation, error: ProviderInvalidRequestError) -> bool:
    """Take the files out of results that a model cannot take; return whether that may help."""
    if isinstance(error, ModelNotFoundError | ContextWindowExceededError):
        return False
    why = " ".join(str(error).split())[:_MOST_REASON]
    return conversation.hide_attachments(f"[not shown, as the model cannot take it: {why}]")


class _Run:
    """One run: what it has come to so far, and how it leaves the conversation."""

    def __init__(self, prompt: Message) -> None:
        self.prompt = prompt
        self.reader: Callable[[], object | None] = lambda: None
        """Returns the generator of the events; None once nobody can read them any more."""
        self.turn: Turn | None = None
        """The turn under way; None between turns."""
        self.asked = 0
        self.tool_calls = 0
        self.over = False
        self._answers = 0
        self._usage = Usage()
        self._model: str | None = None

    def begin(self, conversation: Conversation) -> None:
        self.conversation = conversation
        self._before = len(conversation)
        conversation.add_user(self.prompt)

    @property
    def messages(self) -> Sequence[Message]:
        return self.conversation.messages

    def answered(self, turn: Turn) -> Message:
        """Keep the answer of a finished turn, and return it as it is kept."""
        assert turn.message is not None  # noqa: S101 - a turn that does not raise has its message
        self.turn = None
        self._answers += 1
        self._model = turn.model or self._model
        if turn.usage is not None:
            self._usage = self._usage + turn.usage
        return self.conversation.add_assistant(turn.message)

    def result(self, answer: Message, stop_reason: str, model: str) -> RunResult:
        return RunResult(
            content=answer.content,
            messages=tuple(self.messages),
            usage=self._usage,
            stop_reason=stop_reason,
            turns=self._answers,
            tool_calls=self.tool_calls,
            model=self._model or model,
        )

    def end(self) -> None:
        """Leave the conversation valid, however far the run came. Ending twice is allowed."""
        if self.over:
            return
        self.over = True
        partial = "" if self.turn is None else self.turn.partial
        if partial.strip():
            # Interrupted in mid-sentence: what was said stays said.
            self.conversation.add_assistant(Message(role="assistant", content=partial))
        elif self._answers == 0:
            self.conversation.forget_since(self._before)
        self.conversation.close_calls()
