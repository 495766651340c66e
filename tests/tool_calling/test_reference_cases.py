from __future__ import annotations

import json
import random
from typing import Any

import pytest

from tests.shelf import text
from tests.tool_calling.reading import Read, cut, equal, read

_EXCEPTIONS = {
    # A call that is cut off is a call with an error here, and text there.
    "granite4-789e1470d1",
    "hermes-9f27067118",
    "minicpm5-212348676f",
    # What the suites drop is kept: a call with an odd id, a second call, text between calls.
    "kimi_k2-40b2f69097",
    "mistral-e514d6c08e",
    "step3p5-83c7c90d44",
    # The suite expects half of a marker as content.
    "lfm2-2ed9abf898",
}
_UNDETECTABLE = {
    # Openers that are found in ordinary text are looked for only where the format is known.
    "command_r_plus",
    "functionary_v32",
    "muse",
}
_NEEDS_ITS_NAME = {
    "apriel-ce00d93a13",  # its reasoning goes on from words in the prompt
    "hunyuan-e39d8106f1",  # "</answer>" is text elsewhere
    "minimax_m3-3e3a2c734f",  # a stray end of reasoning is dropped elsewhere
}


def _cases() -> list[dict[str, Any]]:
    return [json.loads(line) for line in text("toolcalls/cases.jsonl").splitlines()]


def _mistakes(case: dict[str, Any], found: Read) -> list[str]:
    expected, how = case["expected"], case["compare"]
    mistakes = []
    if how["content"] != "skip" and found.content.strip() != expected["content"].strip():
        mistakes.append(f"content {found.content!r}")
    reasoning = (expected["reasoning"] or "").strip()
    if how["reasoning"] != "skip" and found.reasoning.strip() != reasoning:
        mistakes.append(f"reasoning {found.reasoning!r}")
    if how["tool_calls"] != "skip":
        wanted = [[call["name"], call["arguments"]] for call in expected["tool_calls"]]
        if not equal([list(call) for call in found.calls], wanted):
            mistakes.append(f"calls {found.calls!r}")
        for call, own in zip(expected["tool_calls"], found.ids, strict=False):
            if call.get("id", own) != own:
                mistakes.append(f"id {own!r}")
    return mistakes


def _read(case: dict[str, Any], pieces: list[str], name: str | None) -> Read:
    reasoning = case["starts_in_reasoning"]
    return read(pieces, name, case["tools"], starts_in_reasoning=reasoning)


def test_reference_cases_come_out_whole() -> None:
    cases = _cases()
    failed = {
        case["id"]: mistakes
        for case in cases
        if (mistakes := _mistakes(case, _read(case, [case["input"]], case["format"])))
    }
    assert {name: why for name, why in failed.items() if name not in _EXCEPTIONS} == {}
    assert failed.keys() == _EXCEPTIONS
    assert len(failed) < 0.02 * len(cases)


def test_reference_cases_come_out_whole_where_the_format_is_recognised() -> None:
    failed = {
        case["id"]: mistakes
        for case in _cases()
        if case["format"] not in _UNDETECTABLE
        and (mistakes := _mistakes(case, _read(case, [case["input"]], None)))
    }
    assert failed.keys() == _EXCEPTIONS | _NEEDS_ITS_NAME


@pytest.mark.parametrize("known", [True, False], ids=["format known", "format recognised"])
def test_reference_cases_are_the_same_under_every_chunking(known: bool) -> None:
    chance = random.Random(8)  # noqa: S311 - where to cut is no secret
    for case in _cases():
        name = case["format"] if known else None
        whole = _read(case, [case["input"]], name)
        sizes = [chance.randint(1, 9) for _ in range(7)]
        for pieces in (list(case["input"]), cut(case["input"], sizes)):
            again = _read(case, pieces, name)
            assert again[:4] == whole[:4], case["id"]


def test_no_good_reference_call_has_an_error() -> None:
    for case in _cases():
        if case["kind"] == "normal" and case["id"] != "minimax_m3-0f6bb0388b":  # nested too deep
            found = _read(case, [case["input"]], case["format"])
            assert set(found.errors) <= {None}, case["id"]
