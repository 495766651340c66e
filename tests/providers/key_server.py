"""A server that knows keys, and an observer, for tests of providers with several keys."""

from __future__ import annotations

from collections.abc import Callable

from tests.providers.loopback import good
from victor.config.catalog import Vendor
from victor.resilience.events import KeySwitched
from victor.testing.faults import Answer, FaultServer, Request, json_answer

__all__ = ["ACME", "BAD", "GOOD", "OVERDRAWN", "THIRD", "Watch", "accepting", "keys_of", "refuse"]

BAD, GOOD, THIRD = "sk-revoked-hunter2", "sk-good-hunter2", "sk-third-hunter2"
ACME = Vendor("acme", "https://api.acme.example/v1", ("ACME_API_KEY",), "acme-large")
OVERDRAWN = {"error": {"message": "no credit", "code": "insufficient_quota"}}


def refuse(status: int, request: Request, headers: dict[str, str] | None = None) -> Answer:
    # Some servers repeat the key they refuse.
    said = request.headers["authorization"]
    return json_answer({"error": {"message": f"wrong: {said}"}}, status, headers)


def accepting(*keys: str, status: int = 401) -> Callable[[Request], Answer]:
    def answer(request: Request) -> Answer:
        known = request.headers["authorization"].removeprefix("Bearer ") in keys
        return good(request) if known else refuse(status, request)

    return answer


def keys_of(server: FaultServer) -> list[str]:
    return [each.headers["authorization"].removeprefix("Bearer ") for each in server.requests]


class Watch:
    """Keeps what an observer is told."""

    def __init__(self) -> None:
        self.events: list[object] = []

    def __call__(self, event: object) -> None:
        self.events.append(event)

    @property
    def switches(self) -> list[tuple[str, str]]:
        return [(e.old, e.new) for e in self.events if isinstance(e, KeySwitched)]
