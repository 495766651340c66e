"""The setting `[permissions]`: rules as they are written, with their examples.

Knows nothing about what a rule matches; whoever obeys the rules reads them and tries the examples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from victor.config.checks import Check, WrongSettingError, checked, table, text, words

__all__ = ["RuleText", "RuleTexts", "rule_texts"]


@dataclass(frozen=True, slots=True)
class RuleText:
    """One entry: `"shell(git log *)"`, or a table with `rule` and `examples`."""

    rule: str
    allowed: tuple[str, ...] = ()
    """Commands or paths that the rule has to let pass."""
    refused: tuple[str, ...] = ()
    """Commands or paths that it has to stop, or must not let pass."""


@dataclass(frozen=True, slots=True)
class RuleTexts:
    """The lists of `[permissions]`."""

    allow: tuple[RuleText, ...] = ()
    ask: tuple[RuleText, ...] = ()
    deny: tuple[RuleText, ...] = ()


_EXAMPLES: Mapping[str, Check] = MappingProxyType({"allowed": words, "refused": words})


def _examples(name: str, value: Any) -> dict[str, tuple[str, ...]]:
    return checked(table(name, value), _EXAMPLES, name)


_ENTRY: Mapping[str, Check] = MappingProxyType({"rule": text, "examples": _examples})


def _entry(name: str, value: Any) -> RuleText:
    if isinstance(value, str):
        return RuleText(text(name, value))
    found = checked(table(name, value), _ENTRY, name)
    if "rule" not in found:
        raise WrongSettingError(f'{name}: needs a rule, as in rule = "shell(git log *)"')
    return RuleText(found["rule"], **found.get("examples", {}))


def _entries(name: str, value: Any) -> tuple[RuleText, ...]:
    if not isinstance(value, list):
        raise WrongSettingError(f'{name}: expected a list of rules, as in ["shell(git log *)"]')
    return tuple(_entry(f"{name}[{index}]", item) for index, item in enumerate(value))


_LISTS: Mapping[str, Check] = MappingProxyType(
    {"allow": _entries, "ask": _entries, "deny": _entries}
)


def rule_texts(name: str, value: Any) -> RuleTexts:
    """Accept the table of rules."""
    return RuleTexts(**checked(table(name, value), _LISTS, name))
