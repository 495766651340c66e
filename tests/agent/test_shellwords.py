from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from victor.agent.shellwords import is_name, tokens_of

BASH = shutil.which("bash")


def words(text: str) -> list[str]:
    return [token.text for token in tokens_of(text).tokens if token.kind == "word"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b\tc", ["a", "b", "c"]),
        (r"a\ b 'c d' \"e", ["a b", "c d", '"e']),
        ('"a \\" \\$ \\x"\'b\'c', ['a " $ \\xbc']),
        ("'' \"\"", ["", ""]),
        ("a\\\nb \\\n c", ["ab", "c"]),
        ('"a\\\nb"', ["ab"]),
        ("a # b", ["a"]),
        ("a#b", ["a#b"]),
        ("# only this\nls", ["ls"]),
        ("$ a$ %", ["$", "a$", "%"]),
        ("2>f 22 a2>f", ["f", "22", "a2", "f"]),
    ],
    ids=lambda value: repr(value) if isinstance(value, str) else None,
)
def test_quotes_and_comments_are_removed(text: str, expected: list[str]) -> None:
    assert words(text) == expected
    assert not tokens_of(text).troubles


@pytest.mark.parametrize(
    "text",
    [
        *("$x", "${x}", "${x:-y}", "$(ls)", "`ls`", '"$x"', '"`ls`"', "$'a\\'b'", '$"a"', "$1"),
        *("$((1+2))", "<(ls)", ">(ls)", "a<(ls)", "{a,b}", "{1..3}", "~", "~/x", "PATH=~/x"),
        *("a\rb", "\u202e", "\u00a0", "a\x00", "\u200b", "{f}>x", "${x\\}}", "x=a:~/b"),
    ],
    ids=repr,
)
def test_what_is_only_known_when_it_runs_is_marked(text: str) -> None:
    (first, *_) = tokens_of(text).tokens
    assert first.word.unknown


@pytest.mark.parametrize(
    "text", ["'$x'", r"\$x", r"\~", "'~'", "'{a,b}'", "{}", "HEAD@{1}", "a~", "'`'", "ü"], ids=repr
)
def test_what_is_quoted_or_plain_is_known(text: str) -> None:
    (only,) = tokens_of(text).tokens
    assert not only.word.unknown


@pytest.mark.parametrize(
    "text",
    [
        *("'a", '"a', "`a", "$(a", "${a", "$'a", "a\\", "<(a", '"$(a"', "`a\\", "$(" * 30),
        *("${x:-'}'}", "((1<<E))\nls\nE", "((ls #))", "a;((b))"),
        *("cat <<E\nx", "cat <<E", "cat <<E\n$x\nE\n", "cat <<E\n`x`\nE"),
    ],
    ids=repr,
)
def test_what_cannot_be_read_is_a_trouble(text: str) -> None:
    assert tokens_of(text).troubles


@pytest.mark.parametrize(
    "text",
    ["cat <<'E'\n$x\nE\nls", "cat <<E\nx\nE\nls", "cat <<-E\n\tx\n\tE\nls", 'cat <<""\n\nls'],
)
def test_a_here_document_is_no_command(text: str) -> None:
    found = tokens_of(text)
    assert not found.troubles
    assert [token.text for token in found.tokens if token.kind == "word"][2:] == ["ls"]


def test_scripts_inside_words_are_kept() -> None:
    (token,) = tokens_of('"a$(b; `c \\`d\\``)"').tokens
    (inner,) = token.word.inner
    assert inner.text == "b; `c \\`d\\``"
    (deeper,) = inner.tokens[-1].word.inner
    assert deeper.text == "c `d`"


@pytest.mark.parametrize(
    ("text", "is_one"), [("a", True), ("_1", True), ("1a", False), ("", False)]
)
def test_a_name_is_ascii(text: str, is_one: bool) -> None:
    assert is_name(text) is is_one
    assert not is_name("ä")


@given(st.text(alphabet="ab $`'\"\\(){}<>|&;\n#~*=\t\r1", max_size=40))
@settings(max_examples=400, deadline=None)
def test_any_text_is_read_without_an_exception(text: str) -> None:
    found = tokens_of(text)
    assert all(text[token.start : token.end] for token in found.tokens)


@pytest.mark.skipif(BASH is None, reason="needs bash")
@given(
    st.lists(st.text(alphabet="ab \\'\"#=-%!^\n", max_size=6), min_size=1, max_size=25),
    st.randoms(use_true_random=False),
)
@settings(max_examples=25, deadline=None)
def test_simple_words_are_what_bash_makes_of_them(values: list[str], random: object) -> None:
    forms = [_quoted(value, index) for index, value in enumerate(values)]
    line = "printf '%s\\0' " + " ".join(forms)
    found = tokens_of(line)
    assert not found.troubles
    assert BASH is not None
    done = subprocess.run([BASH, "-c", line], capture_output=True, check=True, timeout=10)
    printed = done.stdout.decode().split("\0")[:-1]
    assert [token.text for token in found.tokens][2:] == printed == values


def _quoted(value: str, form: int) -> str:
    match form % 3:
        case 0:
            return "'" + value.replace("'", "'\\''") + "'"
        case 1:
            return '"' + "".join("\\" + c if c in '"\\$`' else c for c in value) + '"'
        case _:
            return "".join("'\n'" if c == "\n" else "\\" + c for c in value) or "''"
