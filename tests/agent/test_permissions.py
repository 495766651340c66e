from __future__ import annotations

from typing import Any, cast, get_args

import pytest

from victor.agent.permissions import Decision, checked_mode, decide
from victor.config.settings import Mode
from victor.errors import ConfigError
from victor.tools.base import Effect

TABLE: dict[Mode, dict[Effect, Decision]] = {
    "ask": {"read": "allow", "edit": "ask", "execute": "ask", "other": "allow"},
    "accept-edits": {"read": "allow", "edit": "allow", "execute": "ask", "other": "allow"},
    "plan": {"read": "allow", "edit": "deny", "execute": "deny", "other": "deny"},
    "auto": {"read": "allow", "edit": "allow", "execute": "allow", "other": "allow"},
}


@pytest.mark.parametrize(
    ("mode", "effect", "decision"),
    [(mode, effect, TABLE[mode][effect]) for mode in TABLE for effect in TABLE[mode]],
    ids=str,
)
def test_mode_and_effect_decide(mode: Mode, effect: Effect, decision: Decision) -> None:
    assert decide(mode, effect) == decision


def test_every_mode_decides_every_effect() -> None:
    assert set(TABLE) == set(get_args(Mode))
    for mode in get_args(Mode):
        for effect in get_args(Effect):
            assert decide(mode, effect) in get_args(Decision)


@pytest.mark.parametrize("mode", get_args(Mode))
def test_known_mode_passes(mode: Mode) -> None:
    assert checked_mode(mode) == mode


def test_unknown_mode_is_refused_with_the_modes_there_are() -> None:
    unknown = cast("Any", "yolo")
    with pytest.raises(ConfigError, match="no mode 'yolo': use one of ask, accept-edits, plan"):
        checked_mode(unknown)
