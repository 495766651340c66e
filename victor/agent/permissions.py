"""What an agent may do without asking: a mode and a tool's effect give allow, ask or deny.

Knows nothing about who is asked or how. Rules on commands and paths belong here once they exist.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias

from victor.config.settings import Mode
from victor.errors import ConfigError
from victor.tools.base import Effect

__all__ = ["Decision", "checked_mode", "decide"]

Decision: TypeAlias = Literal["allow", "ask", "deny"]

# A program's own functions ("other") were handed over by whoever wrote the program.
_RULES: Mapping[Mode, Mapping[Effect, Decision]] = MappingProxyType(
    {
        "ask": {"read": "allow", "edit": "ask", "execute": "ask", "other": "allow"},
        "accept-edits": {"read": "allow", "edit": "allow", "execute": "ask", "other": "allow"},
        "plan": {"read": "allow", "edit": "deny", "execute": "deny", "other": "deny"},
        "auto": {"read": "allow", "edit": "allow", "execute": "allow", "other": "allow"},
    }
)


def decide(mode: Mode, effect: Effect) -> Decision:
    """Return whether a tool of that effect may run."""
    return _RULES[mode][effect]


def checked_mode(mode: Mode) -> Mode:
    """Return the mode, if there is such a one.

    Raises:
        ConfigError: there is not; the message lists those there are.
    """
    if mode not in _RULES:
        raise ConfigError(f"there is no mode {mode!r}: use one of {', '.join(_RULES)}")
    return mode
