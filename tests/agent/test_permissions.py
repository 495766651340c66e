from __future__ import annotations

from pathlib import Path
from typing import Any, cast, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.agent.ruled import RULES, Made
from victor.agent.commands import commands_of
from victor.agent.permissions import Permissions, checked_mode, decide
from victor.agent.rules import load_rules
from victor.agent.verdicts import Decision
from victor.config.rule_texts import RuleText, RuleTexts
from victor.config.settings import Mode
from victor.errors import ConfigError
from victor.tools.base import Effect

TABLE: dict[Mode, dict[Effect, Decision]] = {
    "ask": {"read": "allow", "edit": "ask", "execute": "ask", "other": "allow"},
    "accept-edits": {"read": "allow", "edit": "allow", "execute": "ask", "other": "allow"},
    "plan": {"read": "allow", "edit": "deny", "execute": "deny", "other": "deny"},
    "auto": {"read": "allow", "edit": "allow", "execute": "allow", "other": "allow"},
}
MODES: tuple[Mode, ...] = get_args(Mode)


@pytest.mark.parametrize(
    ("mode", "effect", "decision"),
    [(mode, effect, TABLE[mode][effect]) for mode in TABLE for effect in TABLE[mode]],
    ids=str,
)
def test_mode_and_effect_decide(mode: Mode, effect: Effect, decision: Decision) -> None:
    assert decide(mode, effect) == decision


def test_every_mode_decides_every_effect() -> None:
    assert set(TABLE) == set(MODES)
    for mode in MODES:
        for effect in get_args(Effect):
            assert decide(mode, effect) in get_args(Decision)


@pytest.mark.parametrize("mode", MODES)
def test_known_mode_passes(mode: Mode) -> None:
    assert checked_mode(mode) == mode


def test_unknown_mode_is_refused_with_the_modes_there_are() -> None:
    unknown = cast("Any", "yolo")
    with pytest.raises(ConfigError, match="no mode 'yolo': use one of ask, accept-edits, plan"):
        checked_mode(unknown)


# --- with rules


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path)


@pytest.mark.parametrize(
    ("line", "ask", "accept", "plan", "auto"),
    [
        ("ls src", "allow", "allow", "allow", "allow"),
        ("git status | head -5", "allow", "allow", "allow", "allow"),
        ("cd src && cat a.py", "allow", "allow", "allow", "allow"),
        ("ls 2>/dev/null >&2", "allow", "allow", "allow", "allow"),
        ("LANG=C", "allow", "allow", "allow", "allow"),
        ("pytest -q", "allow", "allow", "deny", "allow"),
        ("cd src && pytest -q", "allow", "allow", "deny", "allow"),
        ("pytest -q; ls", "allow", "allow", "deny", "allow"),
        ("pytest -q; curl x", "ask", "ask", "deny", "allow"),
        ("curl x", "ask", "ask", "deny", "allow"),
        ("make", "allow", "allow", "deny", "allow"),
        ("make deploy", "ask", "ask", "ask", "ask"),
        ("make; rm x", "deny", "deny", "deny", "deny"),
        ("sudo rm x", "deny", "deny", "deny", "deny"),
        ("echo $(rm x)", "deny", "deny", "deny", "deny"),
        ("X=1 /usr/bin/git push", "deny", "deny", "deny", "deny"),
        ("cat secrets/key", "deny", "deny", "deny", "deny"),
        ("cp --from=secrets/key x", "deny", "deny", "deny", "deny"),
        ("bash -lc 'cat secrets/key'", "deny", "deny", "deny", "deny"),
        ("cat < secrets/key", "deny", "deny", "deny", "deny"),
        ("cat private/x", "ask", "ask", "ask", "ask"),
        ("cat s*/key", "ask", "ask", "deny", "ask"),
        ("cat ./s*/k*", "ask", "ask", "deny", "ask"),
        ("cat src/*.py *.txt", "allow", "allow", "allow", "allow"),
        ("wc -l *.py", "allow", "allow", "allow", "allow"),
        ("sort *.py", "ask", "ask", "deny", "ask"),
        ("cat ./[s]ecrets/key", "ask", "ask", "deny", "ask"),
        ("cat src/*", "allow", "allow", "allow", "allow"),
        ("wc -l *", "ask", "ask", "deny", "ask"),
        ("make s*/key", "ask", "ask", "deny", "ask"),
        ("rg x", "ask", "ask", "deny", "ask"),
        ("rg --pre y x", "ask", "ask", "deny", "ask"),
        ("rg --pre y x src", "ask", "ask", "deny", "allow"),
        ("grep -r x .", "ask", "ask", "deny", "ask"),
        ("git grep x", "ask", "ask", "deny", "ask"),
        ("git log --oneline | grep x", "allow", "allow", "allow", "allow"),
        ("git -C src status", "allow", "allow", "allow", "allow"),
        ("git -C .. status", "ask", "ask", "deny", "allow"),
        ("git -C s* status", "ask", "ask", "deny", "allow"),
        ("git show HEAD:secrets/key", "deny", "deny", "deny", "deny"),
        ("curl x | sh", "ask", "ask", "deny", "ask"),
        ("bash <<'E'\nrm x\nE", "ask", "ask", "deny", "ask"),
        ("[ -f src/a.py ] && cat src/a.py", "allow", "allow", "allow", "allow"),
        ("test -f /etc/passwd", "ask", "ask", "deny", "allow"),
        ("rg x src", "allow", "allow", "allow", "allow"),
        ("git diff", "ask", "ask", "deny", "allow"),
        ("pytest $x", "ask", "ask", "deny", "ask"),
        ("pytest 'x", "ask", "ask", "deny", "ask"),
        ("a $(b) | c", "ask", "ask", "deny", "ask"),
        ("pytest > out.txt", "ask", "allow", "deny", "allow"),
        ("pytest > a.md", "allow", "allow", "deny", "allow"),
        ("pytest > pyproject.toml", "ask", "ask", "deny", "ask"),
        ("pytest > locked", "deny", "deny", "deny", "deny"),
        ("pytest > /etc/x", "ask", "ask", "deny", "allow"),
        ("pytest > .git/hooks/pre-commit", "ask", "ask", "deny", "ask"),
        ("pytest > $x", "ask", "ask", "deny", "ask"),
        ("cat < /etc/passwd", "ask", "ask", "ask", "allow"),
        ("cd src; cat x > y", "ask", "ask", "deny", "ask"),
        ("cd src; curl x", "ask", "ask", "deny", "ask"),
        ("cat /etc/passwd", "ask", "ask", "deny", "allow"),
        ("ls ..", "ask", "ask", "deny", "allow"),
        ("cat src/../../w2/x", "ask", "ask", "deny", "allow"),
        ("", "ask", "ask", "deny", "allow"),
        ("# nothing", "ask", "ask", "deny", "allow"),
    ],
)
def test_rules_then_harmlessness_then_the_mode_decide(
    made: Made, line: str, ask: Decision, accept: Decision, plan: Decision, auto: Decision
) -> None:
    permissions = made.rules(**RULES)
    found = tuple(permissions.command(line, mode).decision for mode in MODES)
    assert dict(zip(MODES, found, strict=True)) == {
        "ask": ask,
        "accept-edits": accept,
        "plan": plan,
        "auto": auto,
    }


def test_auto_without_rules_never_asks(made: Made) -> None:
    for line in ("a $x", "a 'b", "cd x; y", "if a; then b; fi"):
        assert made.rules().command(line, "auto").decision == "allow"


def test_every_part_says_what_decided_it(made: Made) -> None:
    verdict = made.rules(**RULES).command("make; rm x", "ask")
    assert verdict.why == "rm x: rule deny shell(rm *)"
    assert [(one.text, one.rule) for one in verdict.parts] == [
        ("make", "allow shell(make*)"),
        ("rm x", "deny shell(rm *)"),
    ]


def test_an_exact_rule_is_for_that_very_line(made: Made) -> None:
    permissions = made.rules(allow=["shell(=a | b > c)"], deny=["shell(=ls)"], ask=["shell(=pwd)"])
    assert permissions.command("a | b > c", "ask").decision == "allow"
    assert permissions.command("a | b > c", "plan").decision == "deny"
    assert permissions.command("a | b >  c", "ask").decision == "ask"
    assert permissions.command("a", "ask").decision == "ask"
    assert permissions.command("ls", "ask").decision == "deny"
    assert permissions.command("pwd", "auto").decision == "ask"


def test_an_exact_rule_does_not_lift_what_a_rule_stops(made: Made) -> None:
    lists = {"ask": ["shell(git push*)"], "deny": ["shell(rm *)"]}
    permissions = made.rules(allow=["shell(=git push)", "shell(=rm x)"], **lists)
    assert permissions.command("git push", "ask").decision == "ask"
    assert permissions.command("rm x", "ask").decision == "deny"


@pytest.mark.parametrize(
    ("line", "offer"),
    [
        ("curl x | sh", "shell(=curl x | sh)"),
        ("git", "shell(=git)"),
        ("a > b", "shell(=a > b)"),
        ("curl $x", None),
        ("a\nb", None),
        ("a " * 300, None),
        ("make deploy", None),
        ("rm x", None),
        ("cd x; y > z", None),
        ("cat STATE/x", None),
        ("", "shell(=)"),
    ],
)
def test_always_is_offered_for_exactly_what_was_understood(
    made: Made, line: str, offer: str | None
) -> None:
    line = line.replace("STATE", str(made.workspace.parent / "state" / "victor"))
    found = made.rules(**RULES).command(line, "ask").offer
    assert found == (None if line == "" else offer)


def test_always_holds_until_it_is_revoked(made: Made) -> None:
    permissions = made.rules()
    grant = permissions.grant("shell(=curl x | sh)")
    assert permissions.is_granted("shell(=curl x | sh)")
    assert permissions.command("curl x | sh", "ask").decision == "allow"
    assert permissions.command("curl x | sh", "plan").decision == "deny"
    for line in ("curl x", "sh", "echo evil | sh", "curl x | sh ", "curl x | sh; ls", "curl x |sh"):
        assert permissions.command(line, "ask").decision == ("allow" if line == "ls" else "ask")
    made.grants.revoke(grant.id)
    assert permissions.command("curl x | sh", "ask").decision == "ask"


def test_what_is_no_rule_is_not_granted(made: Made) -> None:
    with pytest.raises(ConfigError, match="is not a rule"):
        made.rules().grant("(")
    with pytest.raises(ConfigError, match="nothing can be allowed for good here"):
        Permissions(made.workspace).grant("shell(=a)")
    assert not Permissions(made.workspace).is_granted(None)


# --- properties

LINES = st.lists(
    st.sampled_from(
        [
            *(
                "ls",
                "cat",
                "echo",
                "rg",
                "a",
                "src",
                "-la",
                "x",
                "'y z'",
                '"w"',
                "$v",
                "$(ls)",
                "`ls`",
            ),
            *(
                "|",
                "&&",
                ";",
                "\n",
                "(",
                ")",
                ">",
                "<",
                "<<E",
                "E",
                "\nE\n",
                "&",
                "'",
                '"',
                "\\",
                "#",
            ),
            *(
                "~",
                "{a,b}",
                "*",
                "cd",
                "bash -c 'ls'",
                "timeout 5",
                "X=1",
                "((",
                "))",
                "[",
                "{",
                "}",
            ),
        ]
    ),
    max_size=9,
)


@given(words=LINES, joint=st.sampled_from([" ", ""]))
@settings(max_examples=300, deadline=None)
def test_what_is_not_understood_is_never_allowed(
    tmp_path_factory: pytest.TempPathFactory, words: list[str], joint: str
) -> None:
    line = joint.join(words)
    permissions = Permissions(
        tmp_path_factory.getbasetemp(),
        load_rules(RuleTexts(allow=(RuleText("shell(*)"), RuleText("write(**)")))),
        which=lambda name: f"/bin/{name}",
    )
    if permissions.command(line, "ask").decision == "allow":
        commands = commands_of(line)
        assert commands
        assert not any(one.unknown for one in commands)
        quoted = any(sign in line for sign in "'\"\\#")
        assert quoted or not any(sign in line for sign in ("$", "`", "{a,b}", " ~", "(("))


def test_a_pattern_is_harmless_only_if_what_it_stands_for_is_in_the_workspace(made: Made) -> None:
    permissions = made.rules()
    assert permissions.command("cat src/*", "ask").decision == "allow"
    (made.workspace / "src" / "b").symlink_to("/etc/hostname")
    assert permissions.command("cat src/*", "ask").decision == "ask"
    assert permissions.command("cat src/*.py", "ask").decision == "allow"


def test_a_file_that_a_rule_names_is_found_behind_a_pattern_and_by_a_search(made: Made) -> None:
    permissions = made.rules(deny=["read(.env)"], allow=["shell(cat *)"])
    assert permissions.command("cat ./.e*", "ask").decision == "allow"
    (made.workspace / ".env").write_text("x\n")
    verdict = permissions.command("cat ./.e*", "ask")
    assert (verdict.decision, verdict.offer) == ("ask", None)
    assert verdict.why == "it may read what rule deny read(.env) is about"
    assert permissions.command("cat src/*", "auto").decision == "allow"
