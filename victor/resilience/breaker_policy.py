"""When a circuit opens, and for how long. Numbers, and nothing that counts."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["BreakerPolicy"]


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When a circuit opens, and for how long. Times are seconds.

    Raises:
        ValueError: a number is not above 0.
    """

    consecutive_failures: int = 5
    """Opens after so many failures in a row …"""
    failure_rate: float = 0.5
    """… or when this share of the calls within the window failed …"""
    minimum_calls: int = 20
    """… of at least so many."""
    window_s: float = 60.0
    """Length of the window."""
    base_open_s: float = 1.0
    """How long it stays open the first time; doubles every time a trial call fails."""
    max_open_s: float = 300.0
    """The longest it stays open by its own choice."""
    max_retry_after_s: float = 900.0
    """The longest it stays open because the server said so."""
    probe_lease_s: float = 30.0
    """A trial call that takes longer no longer keeps others from trying."""
    local_open_s: float = 5.0
    """The longest it stays open when it is this machine that is offline."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be above 0, not {getattr(self, name)!r}")

    def open_s(
        self, trips: int, random: float, *, retry_after: float | None = None, local: bool = False
    ) -> float:
        """Return for how long a circuit opens.

        Args:
            trips: how often it opened in a row before.
            random: a number from 0 up to 1; spreads the open times of many clients.
            retry_after: seconds the server asked us to wait.
            local: it is this machine that is offline.
        """
        open_s = min(self.max_open_s, self.base_open_s * 2.0 ** min(trips, 64))
        open_s *= 0.5 + random / 2
        if local:
            return min(open_s, self.local_open_s)
        return max(open_s, min(retry_after or 0.0, self.max_retry_after_s))
