"""Says when it may be the sandbox that a command failed on, by the words programs have for it.

A model that is not told tries the same again in other ways. Knows nothing about which command ran,
or whether it failed at all: in a pipe its exit code is not known.
"""

from __future__ import annotations

import re

from victor.sandbox.policy import Policy

__all__ = ["hint"]

_LOOKED_AT = 2_000
"""Characters at the end of what a command prints."""

_NETWORK = re.compile(
    r"could not resolve host|name resolution|failure resolving|name or service not known|"
    r"no address associated|network is unreachable|connection refused|dial tcp|dns error|"
    r"\b(?:EAI_AGAIN|ENOTFOUND|ENETUNREACH|ECONNREFUSED)\b",
    re.IGNORECASE,
)
_READ_ONLY = re.compile(
    # The last is how git says it where Landlock holds it.
    r"read-only file system|\bEROFS\b|/\.git/[^\s':]*'?: permission denied",
    re.IGNORECASE,
)


def hint(text: str, policy: Policy) -> str:
    """Return what a model should know about a confined command's output; empty for nothing.

    Args:
        text: what it printed.
        policy: what it ran by.
    """
    end = text[-_LOOKED_AT:]
    if not policy.network and _NETWORK.search(end):
        return (
            "in the sandbox commands have no network, and each has a localhost of its own; if that "
            "is why, ask the user to run this one, or to set sandbox_network in victor's settings"
        )
    if _READ_ONLY.search(end):
        return (
            "in the sandbox .git, the settings of other tools and all outside the workspace are "
            "read-only; if that is why, ask the user to run this one"
        )
    return ""
