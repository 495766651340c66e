"""What a Python function takes, as JSON Schema."""

from __future__ import annotations

from victor.schema.functions import Described, describe

__all__ = ["Described", "describe"]
