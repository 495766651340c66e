"""The agent: asks a model, runs the tools it calls, gives it the results, until it answers.

One loop for streaming and not, written as a generator of events. Knows `BaseProvider` and
`Toolset`; no vendor and no terminal.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence
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
from victor.agent.toolrun import Approve, ToolRunner
from victor.blocking import run_blocking
from victor.config.settings import Mode
from victor.errors import ConfigError
from victor.providers.base import BaseProvider
from victor.providers.registry import create_provider
from victor.tools.base import Tool, ToolContext, Toolset
from victor.types import Attachment, Message, ToolCall, Usage

__all__ = ["Agent"]


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
        mode: what may run without asking (`victor.agent.permissions`): `"ask"`, `"accept-edits"`,
            `"plan"` or `"auto"`.
        approve: asks a person where the mode says so; None refuses.
        workspace: the directory tools work in; None is the current one.
        messages: an earlier conversation to continue.
        temperature: None leaves it to the provider.
        max_tokens: cap of each answer; None leaves it to the provider.

    Raises:
        ConfigError: no model is named and the provider has no default; two tools share a name.
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
        mode: Mode = "ask",
        approve: Approve | None = None,
        workspace: Path | None = None,
        messages: Sequence[Message] = (),
        temperature: float | None = None,
        max_tokens: int | None = None,
    ) -> None:
        self._owns_provider = isinstance(provider, str)
        self.provider = create_provider(provider) if isinstance(provider, str) else provider
        name = model or self.provider.default_model
        if name is None:
            raise ConfigError(f"{self.provider.name} has no default model: name one with model=…")
        if max_turns < 1 or max_tool_calls < 0:
            raise ConfigError("max_turns has to be at least 1, and max_tool_calls at least 0")
        self.model = name
        self.max_turns = max_turns
        self.max_tool_calls = max_tool_calls
        self.workspace = workspace or Path.cwd()
        self._system = system
        self._runner = ToolRunner(Toolset(tools), mode, approve)
        self._conversation = Conversation(messages, system=system)
        self._running = False
        if temperature is None:
            temperature = self.provider.default_temperature
        given = {"temperature": temperature, "max_tokens": max_tokens}
        self._options = {key: value for key, value in given.items() if value is not None}

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
        self._runner.mode = mode

    def clear(self) -> None:
        """Begin a new conversation."""
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
        async for event in self._run(prompt, attachments, streaming=False):
            if isinstance(event, RunFinished):
                result = event.result
        if result is None:
            raise AssertionError("a run ended without RunFinished")
        return result

    def run_sync(self, prompt: str, *, attachments: Sequence[Attachment] = ()) -> RunResult:
        """Do as `run` does, from code without an event loop."""
        return run_blocking(self.run(prompt, attachments=attachments))

    def stream(
        self, prompt: str, *, attachments: Sequence[Attachment] = ()
    ) -> AsyncIterator[AgentEvent]:
        """Work on a prompt and yield every step as it happens; the last event is `RunFinished`.

        Ending the iteration early interrupts the run; the conversation stays valid. Arguments and
        errors are those of `run`.
        """
        return self._run(prompt, attachments, streaming=True)

    async def close(self) -> None:
        """Close the provider, if the agent made it."""
        if self._owns_provider:
            await self.provider.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    # ------------------------------------------------------------------ the loop

    async def _run(
        self, prompt: str, attachments: Sequence[Attachment], *, streaming: bool
    ) -> AsyncGenerator[AgentEvent, None]:
        if self._running:
            raise RuntimeError(
                "this agent is running already: make another one to run side by side"
            )
        self._running = True
        before = len(self._conversation)
        self._conversation.add_user(
            Message(role="user", content=prompt, attachments=list(attachments))
        )
        progress = _Progress()
        try:
            async for event in self._turns(prompt, progress, streaming=streaming):
                yield event
        finally:
            if progress.turn is not None and progress.turn.partial:
                # Interrupted in mid-sentence: what was said stays said.
                self._conversation.add_assistant(
                    Message(role="assistant", content=progress.turn.partial)
                )
            elif progress.answers == 0:
                self._conversation.forget_since(before)
            self._conversation.close_calls()
            self._running = False

    async def _turns(
        self, prompt: str, progress: _Progress, *, streaming: bool
    ) -> AsyncGenerator[AgentEvent, None]:
        context = ToolContext(self.workspace, request=prompt)
        while True:
            progress.answers_asked += 1
            yield TurnStarted(progress.answers_asked)
            turn = progress.turn = Turn(self.provider, self._model_options(context))
            ask = turn.stream if streaming else turn.ask
            async for event in ask(self._conversation.messages):
                yield event
            if turn.message is None:
                raise AssertionError("the guard let a stream end without its final chunk")
            progress.turn = None
            message = self._conversation.add_assistant(turn.message)
            progress.count(turn)
            yield TurnFinished(message, turn.usage, turn.stop_reason)
            calls = message.tool_calls or []
            spent = self._spent(progress, len(calls))
            if not calls or spent:
                for call in calls:
                    yield self._refused(call, f"Error: not run, as the run's {spent} is spent.")
                result = self._result(message, progress, spent or turn.stop_reason or "stop")
                yield RunFinished(result)
                return
            async for tool_event in self._runner.run(calls, context):
                if isinstance(tool_event, ToolFinished):
                    self._conversation.add_result(tool_event.call, tool_event.content)
                    progress.tool_calls += 1
                yield tool_event

    def _model_options(self, context: ToolContext) -> dict[str, Any]:
        tools = self._runner.tools.definitions(context)
        return {"model": self.model, "tools": tools or None, **self._options}

    def _spent(self, progress: _Progress, calls: int) -> str | None:
        if not calls:
            return None
        if progress.answers_asked >= self.max_turns:
            return "max_turns"
        if progress.tool_calls + calls > self.max_tool_calls:
            return "max_tool_calls"
        return None

    def _refused(self, call: ToolCall, why: str) -> ToolFinished:
        self._conversation.add_result(call, why)
        return ToolFinished(call, why, is_error=True, seconds=0.0)

    def _result(self, message: Message, progress: _Progress, stop_reason: str) -> RunResult:
        return RunResult(
            content=message.content,
            messages=self.messages,
            usage=progress.usage,
            stop_reason=stop_reason,
            turns=progress.answers,
            tool_calls=progress.tool_calls,
            model=progress.model or self.model,
        )


class _Progress:
    """What a run has come to so far."""

    def __init__(self) -> None:
        self.turn: Turn | None = None
        """The turn under way; None between turns."""
        self.answers_asked = 0
        self.answers = 0
        self.tool_calls = 0
        self.usage = Usage()
        self.model: str | None = None

    def count(self, turn: Turn) -> None:
        """Add a finished turn."""
        self.answers += 1
        self.model = turn.model or self.model
        if turn.usage is not None:
            self.usage = self.usage + turn.usage
