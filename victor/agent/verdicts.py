"""What is decided about a call, part by part; the strictest part decides.

Knows nothing about how a part is judged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias

from victor.agent.rules import Rule

__all__ = [
    "Decision",
    "Part",
    "Verdict",
    "may_be_granted",
    "stricter",
    "strictest",
    "with_tool_rule",
]

Decision: TypeAlias = Literal["allow", "ask", "deny"]

_ORDER: Mapping[Decision, int] = MappingProxyType({"allow": 0, "ask": 1, "deny": 2})


@dataclass(frozen=True, slots=True)
class Part:
    """One thing a call would do, and what is decided about it."""

    text: str
    decision: Decision
    why: str
    rule: str | None = None
    """The rule that decided."""
    known: bool = True
    """Whether it was understood."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is decided about a call."""

    decision: Decision
    why: str
    parts: tuple[Part, ...] = ()
    offer: str | None = None
    """The rule that "always" would store; None where none is exact enough, or it cannot be."""


def with_tool_rule(verdict: Verdict, rule: Rule, name: str) -> Verdict:
    """Return a verdict as a rule on the whole tool leaves it."""
    own = Part(name, rule.action, f"rule {rule}", str(rule))
    if rule.action != "allow":
        return strictest([own, *verdict.parts])
    # It lifts what the mode would ask, and nothing that a rule or caution asks.
    lifted = verdict.decision == "ask" and all(
        part.decision == "allow" or may_be_granted(part) for part in verdict.parts
    )
    return Verdict("allow", own.why, (own, *verdict.parts)) if lifted else verdict


def may_be_granted(part: Part) -> bool:
    """Tell whether a yes for good may be offered for a part."""
    return part.decision != "deny" and part.known and not (part.decision == "ask" and part.rule)


def stricter(parts: Iterable[Part], than: Decision) -> list[Part]:
    """Return the parts that an exact rule does not settle."""
    return [p for p in parts if p.decision == "deny" or (p.rule and p.decision != than)]


def strictest(parts: list[Part]) -> Verdict:
    """Return the verdict of the strictest part."""
    worst = max(parts, key=lambda part: _ORDER[part.decision])
    why = worst.why if len(parts) == 1 else f"{worst.text}: {worst.why}"
    return Verdict(worst.decision, why, tuple(parts))
