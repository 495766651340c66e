from __future__ import annotations

from typing import Any

import pytest

from victor.config.checks import WrongSettingError
from victor.config.rule_texts import RuleText, RuleTexts, rule_texts


def test_rules_are_texts_or_tables_with_examples() -> None:
    written = {
        "allow": [
            " shell(ls *) ",
            {"rule": "shell(a)", "examples": {"allowed": ["a"], "refused": ["b", ""]}},
        ],
        "deny": [{"rule": "read(x)"}],
    }
    assert rule_texts("permissions", written) == RuleTexts(
        allow=(RuleText("shell(ls *)"), RuleText("shell(a)", ("a",), ("b", ""))),
        deny=(RuleText("read(x)"),),
    )


def test_an_empty_table_has_no_rules() -> None:
    assert rule_texts("permissions", {}) == RuleTexts()


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ([], "permissions: expected a table"),
        ({"alow": []}, "permissions.alow: there is no such setting; did you mean allow?"),
        ({"allow": "shell(ls)"}, "permissions.allow: expected a list of rules"),
        ({"allow": [""]}, r"permissions.allow\[0\]: expected a string, got an empty one"),
        ({"allow": [1]}, r"permissions.allow\[0\]: expected a table"),
        ({"ask": [{"examples": {}}]}, r"permissions.ask\[0\]: needs a rule"),
        ({"ask": [{"rule": "a", "examples": []}]}, r"ask\[0\].examples: expected a table"),
        ({"ask": [{"rule": "a", "examples": {"allow": []}}]}, "did you mean allowed"),
        ({"ask": [{"rule": "a", "examples": {"allowed": [1]}}]}, "expected a list of strings"),
    ],
)
def test_anything_else_is_named(written: Any, says: str) -> None:
    with pytest.raises(WrongSettingError, match=says):
        rule_texts("permissions", written)
