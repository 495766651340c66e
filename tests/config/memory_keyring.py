"""Keyring backends for tests: real backends, in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable

from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked

__all__ = ["Install", "Make", "MemoryKeyring", "SilentKeyring", "StuckKeyring", "TroubledKeyring"]

Install = Callable[[KeyringBackend], None]
Make = Callable[[], KeyringBackend]


class MemoryKeyring(KeyringBackend):
    # Below 0: never chosen by itself, only by a test.
    priority = -1.0

    def __init__(self) -> None:
        self.values: dict[tuple[str, str], str] = {}
        self.asked: list[str] = []

    def get_password(self, service: str, username: str) -> str | None:
        self.asked.append(username)
        return self.values.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.values[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.values[service, username]


class TroubledKeyring(MemoryKeyring):
    """Raises what it is given on every call."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.error = error or KeyringLocked("no")

    def get_password(self, service: str, username: str) -> str | None:
        raise self.error

    def set_password(self, service: str, username: str, password: str) -> None:
        raise self.error


class SilentKeyring(MemoryKeyring):
    """Takes everything and does nothing."""

    def set_password(self, service: str, username: str, password: str) -> None:
        pass

    def delete_password(self, service: str, username: str) -> None:
        pass


class StuckKeyring(MemoryKeyring):
    """Does not answer until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    def get_password(self, service: str, username: str) -> str | None:
        self.released.wait(30)
        return None
