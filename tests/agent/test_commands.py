from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from victor.agent.commands import Command, commands_of


def programs(line: str) -> list[str]:
    return [" ".join(one.values) for one in commands_of(line)]


def unknown(line: str) -> list[str]:
    return [one.unknown for one in commands_of(line) if one.unknown]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", []),
        ("# nothing", []),
        ("a 1; b 2 && c || d & e |& f\ng", ["a 1", "b 2", "c", "d", "e", "f", "g"]),
        ("(a; (b); ); { c; }", ["a", "b", "c"]),
        ("! a | b", ["a", "b"]),
        ("time a", ["a"]),
        ("X=1 a", ["X=1 a"]),
        ("LANG=C LC_ALL=C a", ["a"]),
        ("LANG=/x a", ["LANG=/x a"]),
        ("X=1", ["X=1"]),
        ("a '&&' b\\;c", ["a && b;c"]),
        ("a >f 2>&1 <g &>h >&2 2>&-", ["a"]),
        ("timeout 5 a b", ["a b"]),
        ("timeout -k 1 --signal=TERM 5s a", ["a"]),
        ("nice -n 5 nohup stdbuf -oL command env LANG=C a", ["a"]),
        ("bash -c 'a; b'", ["a", "b"]),
        ("sh -c 'bash -c \"a b\"'", ["a b"]),
        ('a $(b c) "$(d)" `e` <(f)', ["b c", "d", "e", "f", "a $(b c) $(d) `e` "]),
        ("a > $(b)", ["b", "a"]),
        ("cat <<< $(b)", ["b", "cat"]),
    ],
    ids=repr,
)
def test_every_command_of_a_line_is_found(line: str, expected: list[str]) -> None:
    assert programs(line) == expected


@pytest.mark.parametrize(
    "line",
    [
        *("timeout", "timeout 5", "timeout --odd 5 a", "timeout x a", "nice -5 a", "nice -n x a"),
        *(
            "env -i a",
            "env PATH=x a",
            "env -S 'a b'",
            "stdbuf a",
            "command -v a",
            "X=1 timeout 5 a",
        ),
        *("bash -lc a", "bash a", "sudo a", "xargs a", "eval a", "exec a", "bash -c a b"),
    ],
)
def test_a_wrapper_that_does_more_is_a_command_itself(line: str) -> None:
    (found,) = commands_of(line)
    assert found.values[0] in {line.split(" ", maxsplit=1)[0], "X=1"}


@pytest.mark.parametrize(
    "line",
    [
        *("if a; then b; fi", "for x in a; do b; done", "while a; do b; done", "[[ a ]]"),
        *("case a in b) c;; esac", "f() { a; }", "function f { a; }", "x=(a b)", "coproc a"),
        *("a $x", "a ~", "a {b,c}", "a > $x", "a > *", "*", "/bin/l*", "a *", "a -*", "a ?x"),
        *("'a=b' c", "a >", "a; )", "a 'b", "a <<< $x", "a\u00a0b", "a\rb", "x" * 100_001),
        *("((1))", "(a", "a $((1))", "$x a", "`a`", "a & (b) c)", "a {f}>b"),
    ],
    ids=lambda line: repr(line[:20]),
)
def test_what_is_not_understood_says_so(line: str) -> None:
    assert unknown(line)


@pytest.mark.parametrize("line", ["a src/*.py", "a ./*", "[ a ]", "a {} +", "a -x b/c?"])
def test_names_that_cannot_be_options_may_be_patterns(line: str) -> None:
    assert not unknown(line)


@pytest.mark.parametrize(
    ("line", "directory"),
    [
        ("cd a && x", "./a"),
        ("cd a && cd b && x | y", "./a/b"),
        ("cd /a && x", "/a"),
        ("(cd a && b) && x", "."),
        ("cd a; x", None),
        ("cd a || x", None),
        ("cd a && b; x", None),
        ("cd a & x", None),
        ("b | cd a && x", None),
        ("cd && x", None),
        ("cd - && x", None),
        ("cd ../a && x", None),
        ("cd a b && x", None),
        ("cd $a && x", None),
        ("cd a* && x", None),
        ("pushd a && x", None),
        ("eval b && x", None),
    ],
)
def test_the_directory_is_known_only_while_it_is_sure(line: str, directory: str | None) -> None:
    assert commands_of(line)[-1].directory == directory


def test_redirections_are_kept_with_what_they_do() -> None:
    (found,) = commands_of("a <b >c 2>>d <>e >|f &>g 2>&1")
    assert [(one.target.text, one.writes) for one in found.redirects] == [
        *(("b", False), ("c", True), ("d", True), ("e", True), ("f", True), ("g", True)),
    ]


def test_redirections_of_a_script_are_kept() -> None:
    first, second = commands_of("bash -c a > f")
    assert ([one.target.text for one in first.redirects], second.values) == (["f"], ("a",))


@pytest.mark.parametrize("line", ["python3 - <<'E'\nx\nE\n", "python3 - <<< x"])
def test_a_command_that_is_fed_says_so(line: str) -> None:
    (found,) = commands_of(line)
    assert found.fed


@pytest.mark.parametrize(
    ("line", "guess"),
    [
        ("sudo -u x rm -rf /", "rm -rf /"),
        ("xargs -n 1 rm", "rm"),
        ("find . -exec rm {} +", "rm {} +"),
        ("su -c 'rm x'", "rm x"),
        ("watch 'a; sudo rm x'", "rm x"),
        ("/usr/bin/env -i rm x", "rm x"),
        ("bash -ec 'rm x'", "rm x"),
        ("if rm x; then a; fi", "rm x"),
    ],
)
def test_what_a_wrapper_may_run_is_guessed(line: str, guess: str) -> None:
    tails = [
        " ".join(words[start:])
        for one in commands_of(line)
        for words in one.guesses
        for start in range(len(words))
    ]
    assert guess in tails


def test_scripts_inside_scripts_end_somewhere() -> None:
    line = "ls"
    for _ in range(8):
        line = "bash -c '" + line.replace("'", "'\\''") + "'"
    assert any("nested" in one.unknown for one in commands_of(line))


def test_text_of_a_command_is_what_was_written() -> None:
    texts = [one.text for one in commands_of("\n  a  'b' >c;d $(  e f )")]
    assert texts == ["a  'b' >c", "e f", "d $(  e f )"]


@pytest.mark.parametrize(
    "line",
    [
        "sudo " * 3_900,
        "(" * 19_000,
        "$(" * 9_900,
        "`" * 19_000,
        "a;" * 9_900,
        "xargs 'a b' " * 1_600,
        "a <<E;" * 2_800,
        'bash -c "' * 2_000,
        "{" * 19_000,
    ],
    ids=lambda line: line[:8],
)
def test_a_hostile_line_takes_bounded_time(line: str) -> None:
    began = time.process_time()
    assert commands_of(line)
    assert time.process_time() - began < 2


@given(st.text(alphabet="ab $`'\"\\(){}<>|&;\n#~*=-", max_size=60))
@settings(max_examples=400, deadline=None)
def test_any_line_is_read_without_an_exception(line: str) -> None:
    for one in commands_of(line):
        assert isinstance(one, Command)


@pytest.mark.parametrize(
    ("line", "reads"),
    [
        ("sh", True),
        ("/bin/bash -x", True),
        ("bash -s a", True),
        ("bash <<< x", True),
        ("env bash", True),
        ("bash a.sh", False),
        ("bash --version", False),
        ("bash -lc x", False),
        ("cat", False),
        ("X=1", False),
    ],
)
def test_a_shell_without_a_script_reads_one(line: str, reads: bool) -> None:
    (found,) = commands_of(line)
    assert found.reads_script is reads
