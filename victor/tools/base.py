"""What a tool is: a Python function, its definition for a model, and a run that never raises.

Knows nothing about models, permissions or the sandbox; `effect` is all it tells them.
"""

from __future__ import annotations

import asyncio
import copy
import inspect
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, Literal, Self, TypeAlias, get_args, overload

from victor.errors import ConfigError
from victor.schema.functions import Described, describe, is_method, local_names, name_of
from victor.tool_calling.arguments import problems
from victor.tools.context import ToolContext, ToolError, ToolResult
from victor.tools.results import as_result, collected, failure
from victor.tools.threads import call_in_thread
from victor.types import JsonObject, ToolCall, ToolDefinition

__all__ = ["Effect", "Tool", "ToolContext", "ToolError", "ToolResult", "Toolset", "tool"]

Effect: TypeAlias = Literal["read", "edit", "execute", "other"]
"""What a tool does to the world: looks, changes workspace files, runs programs, or unknown."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
"""The names every vendor takes (https://platform.openai.com/docs/api-reference/chat/create)."""


class Tool:
    """A function that a model may call.

    Calling the tool calls the plain function. `run` is what an agent uses. Of a class whose method
    is a tool, each object has its own: `thing.method`.

    Args:
        function: sync (it runs in a thread) or async; its annotations and docstring become the
            definition. What a generator yields is returned as a list.
        name: instead of the function's name.
        description: instead of the docstring's first paragraph.
        parameters: a JSON Schema (type `object`) instead of the annotations'; arguments are checked
            against it and passed as they came.
        effect: what the permission rules go by.
        timeout_s: seconds until a run is given up; None for no limit. A thread cannot be
            stopped: after a timeout a sync function goes on unheeded.

    Raises:
        ConfigError: the name or the effect is not a valid one.
        TypeError: it is not a function, or a tool already.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        *,
        name: str | None = None,
        description: str | None = None,
        parameters: JsonObject | None = None,
        effect: Effect = "other",
        timeout_s: float | None = None,
    ) -> None:
        if isinstance(function, Tool):
            raise TypeError(
                f"{function!r} is a tool already; another one of its function is "
                "tool(that.function, name=...)"
            )
        self.function = function
        # `inspect` and `ToolDefinition.from_function` look through the tool at its function.
        self.__wrapped__ = function
        own = name_of(function)
        self.name = name or own
        self.effect: Effect = effect
        self.timeout_s = timeout_s
        self.__doc__ = getattr(function, "__doc__", None)
        self._given_description = description
        self._given_parameters = parameters
        self._names = local_names(function)
        if not _NAME.fullmatch(self.name):
            raise ConfigError(
                f"{self.name!r} cannot be a tool's name: use 1 to 64 letters, digits, _ and -, "
                "not starting with a digit; set one with tool(name=...)"
            )
        if effect not in get_args(Effect):
            raise ConfigError(
                f"tool {self.name!r}: effect {effect!r} is not one of {', '.join(get_args(Effect))}"
            )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the plain function."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<Tool {self.name!r} effect={self.effect!r}>"

    def __get__(self, instance: object, owner: type[Any] | None = None) -> Self:
        """Return the tool of one object, where the function is a method."""
        if not (is_method(self.function) and hasattr(self.function, "__get__")):
            return self
        bound = copy.copy(self)
        bound.function = bound.__wrapped__ = self.function.__get__(instance, owner)
        for built in ("_described", "definition"):
            bound.__dict__.pop(built, None)
        return bound

    @cached_property
    def _described(self) -> Described:
        return describe(self.function, names=self._names, parameters=self._given_parameters)

    @cached_property
    def definition(self) -> ToolDefinition:
        """What a model is told; built on first use.

        Raises:
            TypeError: the function's signature cannot be described; the message says why.
        """
        given = self._given_description
        return ToolDefinition(
            name=self.name,
            description=self._described.description if given is None else given,
            parameters=self._described.parameters,
        )

    @property
    def description(self) -> str:
        """The text a model chooses the tool by."""
        return self.definition.description

    def narrow(self, context: ToolContext) -> ToolDefinition:  # noqa: ARG002 - for overrides
        """Return the definition for one workspace; here it is the same for all."""
        return self.definition

    def meant(self, call: ToolCall) -> tuple[ToolCall, Tool]:
        """Return the call that a call comes to, and its tool, for tools that call other tools."""
        return call, self

    def problem(self, arguments: Mapping[str, Any]) -> str | None:
        """Say what is wrong with the arguments of a call; None if it can be run."""
        found = self._checked(arguments)
        return found if isinstance(found, str) else None

    def _checked(self, arguments: Mapping[str, Any]) -> dict[str, Any] | str:
        try:
            if self._given_parameters is not None:
                wrong = problems(dict(arguments), self._given_parameters)
                if wrong:
                    return f"Invalid arguments for {self.name}:\n" + "\n".join(wrong)
            return self._described.validate(arguments)
        except ValueError as error:
            return f"Invalid arguments for {self.name}:\n{error}"
        except (TypeError, ConfigError) as error:
            return f"{self.name} cannot be called: {error}"

    async def run(self, arguments: Mapping[str, Any], context: ToolContext) -> ToolResult:
        """Check the arguments and call the function.

        Whatever goes wrong (invalid arguments, an exception, the timeout) comes back as a result
        with `is_error`; only cancellation is raised.
        """
        checked = self._checked(arguments)
        if isinstance(checked, str):
            return ToolResult(checked, is_error=True)
        for name in self._described.injected:
            checked[name] = context
        try:
            async with asyncio.timeout(self.timeout_s):
                return await self._call(checked)
        except TimeoutError:
            text = f"{self.name} timed out after {self.timeout_s:g} s."
            return ToolResult(text, is_error=True)

    async def _call(self, arguments: dict[str, Any]) -> ToolResult:
        # Failures become results here, below the deadline, so that a TimeoutError of the function
        # itself is not taken for the deadline's.
        try:
            if _is_async(self.function):
                value = await self.function(**arguments)
            else:
                value = await call_in_thread(lambda: collected(self.function(**arguments)))
                if inspect.isawaitable(value):
                    value = await value
            if isinstance(value, AsyncIterator):
                value = [item async for item in value]
            return as_result(collected(value), self.name)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            return failure(self.name, error)  # something the tool awaited, not the agent
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a tool may fail in any way
            return failure(self.name, error)


def _is_async(function: Callable[..., Any]) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(function, "__call__", None)  # noqa: B004 - is it async, not is it callable
    )


@overload
def tool(
    function: Callable[..., Any],
    *,
    name: str | None = ...,
    description: str | None = ...,
    parameters: JsonObject | None = ...,
    effect: Effect = ...,
    timeout_s: float | None = ...,
) -> Tool: ...


@overload
def tool(
    function: None = ...,
    *,
    name: str | None = ...,
    description: str | None = ...,
    parameters: JsonObject | None = ...,
    effect: Effect = ...,
    timeout_s: float | None = ...,
) -> Callable[[Callable[..., Any]], Tool]: ...


def tool(
    function: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    description: str | None = None,
    parameters: JsonObject | None = None,
    effect: Effect = "other",
    timeout_s: float | None = None,
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Make a function a tool: `@tool`, `@tool(effect="read")` or `tool(function)`.

    Args:
        function: the function; left out where `tool` is used with arguments.
        name: as in `Tool`.
        description: as in `Tool`.
        parameters: as in `Tool`.
        effect: as in `Tool`.
        timeout_s: as in `Tool`.

    Raises:
        ConfigError: the name or the effect is not a valid one.
        TypeError: it is not a function, or a tool already.
    """

    def make(target: Callable[..., Any]) -> Tool:
        return Tool(
            target,
            name=name,
            description=description,
            parameters=parameters,
            effect=effect,
            timeout_s=timeout_s,
        )

    return make if function is None else make(function)


class Toolset:
    """The tools of an agent, in order, each name once.

    Args:
        tools: tools, or plain functions that become tools.

    Raises:
        ConfigError: two tools have the same name.
    """

    def __init__(self, tools: Iterable[Tool | Callable[..., Any]] = ()) -> None:
        self._tools: dict[str, Tool] = {}
        for item in tools:
            made = item if isinstance(item, Tool) else tool(item)
            if made.name in self._tools:
                raise ConfigError(
                    f"two tools are named {made.name!r}; rename one with tool(name=...)"
                )
            self._tools[made.name] = made

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._tools.values())

    def __len__(self) -> int:
        return len(self._tools)

    def get(self, name: str) -> Tool | None:
        """Return the tool of that name; None where there is none."""
        return self._tools.get(name)

    def definitions(self, context: ToolContext) -> list[ToolDefinition]:
        """Return what a model is told about every tool in this workspace.

        Raises:
            TypeError: a tool's signature cannot be described; the message says why.
        """
        return [item.narrow(context) for item in self]
