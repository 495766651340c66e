"""How commands of a model are kept from everything but the workspace.

`victor.sandbox.run` is the way in. Knows nothing about tools, permissions or models.
"""

from __future__ import annotations

from victor.sandbox.policy import Command, Policy, Sandbox, policy_for
from victor.sandbox.run import best_sandbox, prepared, sandbox_status

__all__ = [
    "Command",
    "Policy",
    "Sandbox",
    "best_sandbox",
    "policy_for",
    "prepared",
    "sandbox_status",
]
