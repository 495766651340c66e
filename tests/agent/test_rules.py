from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from victor.agent.commands import commands_of
from victor.agent.rules import Action, exact_path_rule, host_of, load_rules, parsed_rule, rules_of
from victor.config.rule_texts import RuleText, RuleTexts
from victor.errors import ConfigError


def matches(action: Action, rule: str, line: str) -> bool:
    found = parsed_rule(action, rule)
    return any(found.matches_command(one) for one in commands_of(line))


@pytest.mark.parametrize(
    ("rule", "line", "expected"),
    [
        ("shell(git status*)", "git status", True),
        ("shell(git status*)", "git status -s", True),
        ("shell(git status*)", "git stash", False),
        ("shell(git status *)", "git status", True),
        ("shell(git status *)", "git statuses", False),
        ("shell(git)", "git status", False),
        ("shell(git *)", "git push", True),
        ("shell(git)", "git", True),
        ("shell(*)", "anything at all", True),
        ("shell(npm run test:*)", "npm run test:unit -- x", True),
        ("shell(npm * build)", "npm run build", True),
        ("shell(npm * build)", "npm run x build", False),
        ("shell(a '*')", "a b", False),
        ("shell(a '*')", "a '*'", True),
        ("shell(a ?)", "a b", True),
        ("shell(a ?)", "a bc", False),
        ("shell(a 'b c' d)", "a b\\ c d", True),
        ("shell(cat *)", "./cat x", False),
        ("shell(cat *)", "/opt/x/cat x", False),
        ("shell(make*)", "X=1 make", False),
        ("shell(X=1 make*)", "X=1 make all", True),
        ("shell(make*)", "LANG=C make", True),
        ("shell(make*)", "timeout 5 make", True),
        ("shell(make*)", "make $x", False),
        ("shell(python3 *)", "python3 - <<< 'import os'", False),
        ("shell(rm *)", "sudo rm x", False),
        ("shell(=make all)", "make all", False),
        ("write(**)", "make", False),
        ("shell", "make", False),
    ],
)
def test_a_rule_that_allows_matches_every_word(rule: str, line: str, expected: bool) -> None:
    assert matches("allow", rule, line) is expected


@pytest.mark.parametrize(
    "line",
    [
        *("rm x", "/bin/rm x", "./rm x", "\\rm x", "r''m x", "X=1 rm x", "rm $x", "a; rm x"),
        *("sudo rm x", "sudo -u x /bin/rm x", "xargs rm x", "bash -c 'rm x'", "a $(rm x)"),
        *("su -c 'rm x'", "find . -exec rm {} +", "a | rm x", "(rm x)", "timeout 5 rm x"),
        *("if rm x; then a; fi", "rm x <<< y", "rm x 'unclosed", "env X=1 rm x", "a `rm x`"),
        "; ".join(["true"] * 60 + ["rm x"]),
    ],
    ids=lambda line: line[:30],
)
@pytest.mark.parametrize("action", ["deny", "ask"])
def test_a_rule_that_stops_sees_through_disguises(action: Action, line: str) -> None:
    assert matches(action, "shell(rm *)", line)


@pytest.mark.parametrize("line", ["echo rm x", "git rm x", "rmdir x", "sudo trim x"])
def test_a_rule_that_stops_is_no_search_for_a_word(line: str) -> None:
    assert not matches("deny", "shell(rm *)", line)


@pytest.mark.parametrize(
    ("rule", "path", "expected"),
    [
        ("write(*.md)", "a.md", True),
        ("write(*.md)", "docs/a.md", True),
        ("write(*.md)", "a.mdx", False),
        ("write(./*.md)", "docs/a.md", False),
        ("write(./*.md)", "a.md", True),
        ("write(docs/*)", "docs/a.md", True),
        ("write(docs/*)", "docs/x/a.md", False),
        ("write(docs/**)", "docs/x/a.md", True),
        ("write(**/x/*)", "x/a", True),
        ("write(**/x/*)", "a/b/x/a", True),
        ("write(**)", "any/thing", True),
        ("write(a?c)", "abc", True),
        ("write(a?c)", "a/c", False),
        (r"write(a\*)", "a*", True),
        (r"write(a\*)", "ab", False),
        ("write(/etc/x)", "/etc/x", True),
        ("write(/etc/x)", "etc/x", False),
        ("write(docs)", "docs/a", False),
        ("write(A)", "a", False),
        ("read(a)", "a", False),
    ],
)
def test_a_path_rule_that_allows(rule: str, path: str, expected: bool) -> None:
    assert parsed_rule("allow", rule).matches_path("write", path) is expected


@pytest.mark.parametrize("path", ["secrets", "secrets/a", "x/Secrets/b/c", "SECRETS", "/y/secrets"])
def test_a_path_rule_that_stops_takes_what_is_inside_and_any_case(path: str) -> None:
    rule = parsed_rule("deny", "read(Secrets/)")
    assert rule.matches_path("read", path)
    assert rule.matches_place(["other", path])
    assert not rule.matches_place([path], "write")


def test_the_home_directory_may_be_written_short(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "a*b"))
    rule = parsed_rule("deny", "read(~/.ssh/**)")
    assert rule.matches_path("read", f"{tmp_path}/a*b/.ssh/id")
    assert not rule.matches_path("read", f"{tmp_path}/axb/.ssh/id")


@pytest.mark.parametrize("path", ["a.md", "x/a*b?.md", "back\\slash"])
def test_the_rule_for_one_file_matches_that_file_alone(path: str) -> None:
    rule = parsed_rule("allow", exact_path_rule("write", path))
    assert rule.matches_path("write", path)
    assert not rule.matches_path("write", f"x/{path}")
    assert not rule.matches_path("write", path.replace("*", "x").replace("\\", "") + "x")


def test_a_rule_can_name_tools() -> None:
    rule = parsed_rule("ask", "git*__*")
    assert rule.names_tool("github__push")
    assert not rule.names_tool("read")
    assert not parsed_rule("ask", "shell(a)").names_tool("shell")


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("", "is not a rule"),
        ("shell(a", "is not a rule"),
        ("a b", "is not a rule"),
        ("shell()", "nothing in the brackets"),
        ("grep(a)", "only shell, web_fetch, read, write take brackets"),
        ("read", "say which files"),
        ("shell(a | b)", "a rule is for one command"),
        ("web_fetch(https://x.org/)", "name a host"),
        ("mcp__github__*", "are called server__tool; write github__"),
        ("Bash(rm *)", "that is called shell here"),
        ("WebFetch", "that is called web_fetch here"),
        ("shell(a > b)", "a rule is for one command"),
        ("shell(a $x)", "without variables"),
        ("shell(a 'b)", "a rule is for one command"),
        ("shell(# a)", "a rule is for one command"),
    ],
)
def test_a_rule_that_is_none_says_what_is_wrong(rule: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        parsed_rule("allow", rule)


@pytest.mark.parametrize(
    ("action", "entry"),
    [
        (
            "allow",
            RuleText("shell(git log *)", ("git log -1", "git log"), ("git push", "git log $x")),
        ),
        ("deny", RuleText("shell(rm *)", ("ls",), ("sudo rm x",))),
        ("ask", RuleText("write(*.toml)", ("a.py",), ("x/./a.toml",))),
        ("deny", RuleText("git__*", ("read",), ("git__x",))),
        ("allow", RuleText("shell(=a | b)", ("a | b",), ("a",))),
    ],
    ids=["allow", "deny", "ask", "tool", "exact"],
)
def test_examples_are_tried(action: str, entry: RuleText) -> None:
    rules = load_rules(RuleTexts(**{action: (entry,)}))
    assert rules.examples == len(entry.allowed) + len(entry.refused)
    assert [str(rule) for rule in rules.all] == [f"{action} {entry.rule}"]


@pytest.mark.parametrize(
    ("action", "entry", "says"),
    [
        (
            "allow",
            RuleText("shell(ls)", ("ls -l",)),
            "does not allow its example 'ls -l' of what is",
        ),
        (
            "allow",
            RuleText("shell(ls*)", (), ("ls -l",)),
            "allows its example 'ls -l' of what is ref",
        ),
        ("deny", RuleText("shell(ls)", ("ls",)), "would deny its example 'ls' of what is allowed"),
        ("ask", RuleText("read(a)", (), ("b",)), "does not ask its example 'b' of what is refused"),
        ("allow", RuleText("shell(ls)", ("ls; rm x",)), "does not allow its example"),
        ("allow", RuleText("shell(*)", ("",)), "does not allow its example ''"),
    ],
)
def test_a_wrong_example_is_named(action: str, entry: RuleText, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_rules(RuleTexts(**{action: (RuleText("web"), entry)}), Path("/c.toml"))
    assert str(caught.value).startswith(f"/c.toml: permissions.{action}[1]: {entry.rule} ")
    assert says in str(caught.value)


def test_rules_on_the_shell_are_about_each_tool_that_takes_commands() -> None:
    assert parsed_rule("deny", "shell").names_tool("shell_start")
    assert not parsed_rule("deny", "shell").names_tool("shell_write")
    assert not parsed_rule("deny", "shell_start").names_tool("shell")


@pytest.mark.parametrize(
    ("rule", "host", "expected"),
    [
        ("web_fetch(Docs.x.org)", "docs.x.org", True),
        ("web_fetch(docs.x.org)", "x.docs.x.org", False),
        ("web_fetch(*.x.org)", "docs.x.org", True),
        ("web_fetch(*.x.org)", "a.b.x.org", True),
        ("web_fetch(*.x.org)", "x.org", False),
        ("web_fetch(*.x.org)", "evilx.org", False),
        ("web_fetch", "x.org", False),
        ("web_fetch(x.org)", None, False),
    ],
)
def test_a_rule_can_name_hosts(rule: str, host: str | None, expected: bool) -> None:
    assert parsed_rule("allow", rule).matches_host(host) is expected


def test_a_host_that_cannot_be_told_may_be_one_that_is_refused() -> None:
    assert parsed_rule("deny", "web_fetch(x.org)").matches_host(None)
    assert not parsed_rule("deny", "web_fetch").matches_host(None)


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://X.org", "x.org"),
        ("https://x.org:8443/a?b@c.org", "x.org"),
        ("https://x.org?@evil.org/", "x.org"),
        ("https://x.org@evil.org/", None),
        ("https://x.org:1@evil.org/", None),
        ("https://evil.org\\@x.org/", None),
        ("https://x.org./", None),
        ("https:x.org", None),
        (" https://x.org", None),
        ("http://x.org/", None),
        ("https://é.org/", None),
        (7, None),
    ],
)
def test_the_host_of_an_address_is_sure_or_none(address: object, host: str | None) -> None:
    assert host_of(address) == host


@given(address=st.text(alphabet="htps:/@\\?#.[]x1 -\t\n", max_size=30))
def test_a_host_is_the_one_that_would_be_fetched(address: str) -> None:
    host = host_of(f"https://{address}")
    with contextlib.suppress(httpx.InvalidURL):  # nothing is fetched from there
        assert host is None or httpx.URL(f"https://{address}").host == host


def test_examples_of_hosts_are_tried() -> None:
    entry = RuleText("web_fetch(*.x.org)", ("a.x.org",), ("x.org",))
    assert load_rules(RuleTexts(allow=(entry,))).examples == 2


@pytest.mark.parametrize(
    ("lists", "says"),
    [
        ({"alow": ["read(a)"]}, "rules.alow: .* did you mean allow"),
        ({"allow": "read(a)"}, "rules.allow: expected a list"),
        ({"allow": ["nonsense("]}, r"allow\[0\]: 'nonsense\(' is not a rule"),
    ],
    ids=["list", "text", "rule"],
)
def test_rules_of_a_program_are_read_as_strictly(lists: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        rules_of(lists)
