from __future__ import annotations

import io
import logging

import pytest

from tests.providers.key_server import (
    BAD,
    GOOD,
    THIRD,
    Watch,
    accepting,
)
from tests.providers.loopback import ROW, ask, connect, either
from victor.config.api_keys import fingerprint
from victor.errors import (
    ProviderAuthError,
)
from victor.providers.http import HTTPProvider
from victor.resilience.events import AttemptFailed, KeySwitched
from victor.testing.faults import (
    FaultServer,
)
from victor.types import StreamChunk


@either
async def test_no_log_event_error_or_repr_shows_a_key(how: str) -> None:
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    root = logging.getLogger()
    root.addHandler(handler)
    level = root.level
    root.setLevel(logging.DEBUG)
    shown: list[object] = []
    try:
        async with (
            FaultServer(accepting(THIRD)) as server,
            connect(server, api_key=[BAD, GOOD]) as provider,
        ):
            with pytest.raises(ProviderAuthError) as caught:
                await ask(provider, how, on_event=shown.append)
            with pytest.raises(ProviderAuthError):
                await provider.list_models()
            shown += [provider, provider._pool, provider._exchange, str(caught.value)]
            link: BaseException | None = caught.value
            while link is not None:
                shown += [link, vars(link)]
                link = link.__cause__ or link.__context__
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    for event in list(shown):
        if isinstance(event, KeySwitched | AttemptFailed):
            shown += [event.error, vars(event.error), event.error.__cause__]
    text = log.getvalue() + "".join(f"{each!r} {each}" for each in shown)
    assert "hunter2" not in text
    assert fingerprint(BAD) in log.getvalue()


@either
async def test_an_observer_that_fails_stops_nothing(
    how: str, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(event: object) -> None:
        raise ValueError("a bug")

    async with (
        FaultServer(accepting(GOOD)) as server,
        connect(server, api_key=[BAD, GOOD]) as provider,
    ):
        assert await ask(provider, how, on_event=broken) == "Hello"
    assert "an observer of" in caplog.text


class Shouting(HTTPProvider):
    """Somebody's subclass, whose stream is a generator of its own."""

    async def stream(self, *args: object, **kwargs: object) -> object:  # type: ignore[override]
        async for chunk in super().stream(*args, **kwargs):  # type: ignore[arg-type]
            yield StreamChunk(
                chunk.content.upper(), stop_reason=chunk.stop_reason, is_final=chunk.is_final
            )


async def test_the_observer_of_a_subclass_hears_of_a_switch() -> None:
    watch = Watch()
    async with (
        FaultServer(accepting(GOOD)) as server,
        Shouting(ROW, base_url=server.url, api_key=[BAD, GOOD]) as provider,
    ):
        assert await ask(provider, "stream", on_event=watch) == "HELLO"
        assert await ask(provider, "stream") == "HELLO"
    assert watch.switches == [(fingerprint(BAD), fingerprint(GOOD))]
