"""What a tool is given besides its arguments, and what it gives back.

Knows nothing about models or conversations: an agent fills the context in.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeAlias, TypeVar, runtime_checkable

from victor.errors import VictorError
from victor.types import Attachment

__all__ = ["Ask", "Closing", "Memory", "ToolContext", "ToolError", "ToolResult"]

_T = TypeVar("_T")

Ask: TypeAlias = Callable[[str, tuple[str, ...]], Awaitable[str | None]]
"""Puts a question with the answers to choose from to a person; None: no answer came."""


class ToolError(VictorError):
    """Raise it in a tool to fail with a text that is written for the model."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What goes back to the model."""

    content: str
    is_error: bool = False
    attachments: tuple[Attachment, ...] = ()
    """Images and documents that go with the text."""


@runtime_checkable
class Closing(Protocol):
    """Something remembered that has to be closed in the end."""

    async def aclose(self) -> None:
        """Let go of what is held."""


class Memory:
    """What tools remember from one call to the next: one object of each type."""

    def __init__(self) -> None:
        self._kept: dict[type[Any], Any] = {}
        self._lock = threading.Lock()  # tools run in threads, side by side

    def of(self, kind: type[_T]) -> _T:
        """Return the object of a type; the first call makes it, without arguments."""
        with self._lock:
            if kind not in self._kept:
                self._kept[kind] = kind()
            found: _T = self._kept[kind]
            return found

    async def aclose(self) -> None:
        """Forget everything, and close what can be closed."""
        with self._lock:
            kept, self._kept = list(self._kept.values()), {}
        for one in kept:
            if isinstance(one, Closing):
                await one.aclose()


@dataclass(frozen=True, slots=True)
class ToolContext:
    """Where a call happens. A parameter of this type is filled in and not shown to the model."""

    workspace: Path
    """The directory the agent works in; tools stay below it."""
    call_id: str = ""
    request: str = ""
    """What the user asked for, as a hint for tools that rank what they find."""
    memory: Memory = field(default_factory=Memory, compare=False, repr=False)
    """What the tools of this agent remember."""
    report: Callable[[str], None] | None = field(default=None, compare=False, repr=False)
    """Takes what `progress` is told, on whatever thread that is; None: nobody listens."""
    ask: Ask | None = field(default=None, compare=False, repr=False)
    """Asks the person in front of the terminal; None: there is none."""

    __victor_injected__: ClassVar[bool] = True

    def progress(self, text: str) -> None:
        """Say in a few words how far the call has come; also from a thread."""
        if self.report is not None:
            self.report(text)
