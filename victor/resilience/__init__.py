"""Guards unreliable work: deadlines, a circuit breaker, retries.

Knows outcomes; what is called, and over which protocol, is its callers' business.
"""

from __future__ import annotations

__all__: list[str] = []
