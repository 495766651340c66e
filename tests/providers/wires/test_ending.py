from __future__ import annotations

import pytest

from victor.providers.wires.ending import settled_stop, tokens


@pytest.mark.parametrize("stop", ["stop", "tool_calls", "other", "pause"])
def test_an_answer_with_calls_stopped_for_them(stop: str) -> None:
    assert settled_stop(stop, has_calls=True) == "tool_calls"
    assert settled_stop(stop, has_calls=False) == stop


@pytest.mark.parametrize("stop", ["length", "content_filter", "error"])
def test_calls_do_not_make_a_broken_answer_whole(stop: str) -> None:
    assert settled_stop(stop, has_calls=True) == stop


@pytest.mark.parametrize(
    ("prompt", "completion", "told", "total"),
    [
        pytest.param(7, 5, None, 12, id="the sum of both"),
        pytest.param(7, 5, 20, 20, id="what the server says"),
        pytest.param(None, 5, None, None, id="without the prompt's"),
        pytest.param(7, None, None, None, id="without the answer's"),
        pytest.param(0, 0, None, 0, id="nothing is a number too"),
    ],
)
def test_the_total_is_told_or_known_from_both(
    prompt: int | None, completion: int | None, told: int | None, total: int | None
) -> None:
    assert tokens(prompt, completion, total=told).total_tokens == total
