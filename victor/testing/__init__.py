"""For the tests of provider authors and of programs that use victor."""

from __future__ import annotations

from victor.providers.scripted import MockLLM

__all__ = ["MockLLM"]
