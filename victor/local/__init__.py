"""The embedded model: its weights on this machine, and the child process that runs it."""

from __future__ import annotations

__all__: list[str] = []
