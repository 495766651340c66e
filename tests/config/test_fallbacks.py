from __future__ import annotations

from pathlib import Path

import pytest

from victor.config.fallbacks import Fallback
from victor.config.settings import Settings, load_settings
from victor.errors import ConfigError


def loaded(tmp_path: Path, text: str) -> Settings:
    file = tmp_path / "config.toml"
    file.write_text(text, encoding="utf-8")
    return load_settings(file, environ={})


def test_a_fallback_is_a_route_with_or_without_a_quality(tmp_path: Path) -> None:
    found = loaded(
        tmp_path,
        'fallback = ["openai/gpt-5-mini", { route = "local", quality = 1 }]\n'
        'failover = "auto"\nquality_floor = 1\n',
    )
    assert found.fallback == (Fallback("openai/gpt-5-mini"), Fallback("local", 1))
    assert (found.failover, found.quality_floor) == ("auto", 1)


def test_without_a_word_nothing_moves_on(tmp_path: Path) -> None:
    found = loaded(tmp_path, "")
    assert (found.fallback, found.failover, found.quality_floor) == ((), "ask", None)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('fallback = "local"', "fallback: expected a list of routes"),
        ("fallback = [1]", r"fallback\[0\]: expected a table, got an integer"),
        ('fallback = ["local", ""]', r"fallback\[1\]: expected a string, got an empty one"),
        ("fallback = [{ quality = 1 }]", r"fallback\[0\]: needs a route"),
        ('fallback = [{ route = "a", model = "b" }]', r"fallback\[0\]\.model: there is no such"),
        ('failover = "always"', "failover: expected one of ask, auto, never"),
        ('quality_floor = "high"', "quality_floor: expected an integer"),
    ],
    ids=["no-list", "no-route", "empty", "quality-alone", "unknown", "policy", "floor"],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        loaded(tmp_path, text)
