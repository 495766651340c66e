from __future__ import annotations

import pytest

from victor.agent.commands import commands_of
from victor.agent.harmless import Look, harmless


def found(line: str) -> tuple[Look, tuple[str, ...]] | None:
    (command,) = commands_of(line)
    return harmless(command, lambda name: f"/bin/{name}")


@pytest.mark.parametrize(
    ("line", "paths"),
    [
        ("ls -la --color=never src", ("src",)),
        ("cat -n a b", ("a", "b")),
        ("cat -- -n", ("-n",)),
        ("head -5 a", ("a",)),
        ("head -n 5 -c5 a", ("a",)),
        ("tail -", ("-",)),
        ("grep -rn foo src", ("src",)),
        ("grep -A 3 -e /etc/x src", ("src",)),
        ("grep --regexp=foo src", ("src",)),
        ("rg -g '*.py' /etc", ()),
        ("rg -tpy -ie foo src", ("src",)),
        ("rg --files src", ("src",)),
        ("rg -g ../x foo", ("../x",)),
        ("rg --glob=/x/* foo", ("/x/*",)),
        ("find", (".",)),
        ("find src -name '*.py' -not -newer a -print", ("src", "a")),
        ("sed -n 1,20p a", ("a",)),
        ("sed -n '$p' a", ("a",)),
        ("sort -k 2 -t , a", ("a",)),
        ("uniq -c a", ("a",)),
        ("date -u +%F", ("+%F",)),
        ("echo --- -x", ()),
        ("echo -n /etc", ()),
        ("printf %s /etc", ()),
        ("diff -u a b", ("a", "b")),
        ("du -sh -d 1 src", ("src",)),
        ("tr a b", ()),
        ("cd src", ("src",)),
        ("pwd", ()),
        ("command -v python3", ()),
        ("python3 --version", ()),
        ("git --version", ()),
        ("wc -l < a", ()),
        ("LANG=C timeout 5 ls", ()),
        ("test -f a", ("a",)),
        ("[ ! -d src ]", ("src",)),
        ("[ -n x ]", ()),
        ('test "a b" = /etc', ()),
        ("node -v", ()),
        ("python -V", ()),
        ("type ls", ()),
        ("df -h", ()),
        ("xxd a", ("a",)),
        ("fd -e py foo src", ("src",)),
        ("wc -l *.py", ("*.py",)),
    ],
)
def test_looking_is_recognised_with_what_it_looks_at(
    line: str, paths: tuple[str, ...] | None
) -> None:
    look = found(line)
    assert (None if look is None else look[0].paths) == paths


@pytest.mark.parametrize(
    "line",
    [
        *(
            "git status",
            "git status -sb",
            "git --no-pager log --oneline -5",
            "git diff HEAD~1 -- a",
        ),
        *("git show --stat HEAD", "git branch -a", "git remote -v", "git log -n 3 -S foo"),
        *("git rev-parse --show-toplevel", "git ls-files", "git blame -L 1,5 a", "git tag"),
        *("git stash list", "git reflog -5", "git worktree list", "git remote get-url origin"),
        *("git grep -n foo", "git -C src status"),
    ],
)
def test_git_that_looks_is_recognised_as_git(line: str) -> None:
    look = found(line)
    assert look is not None
    assert look[0].repository


@pytest.mark.parametrize(
    "line",
    [
        *(
            "git",
            "git push",
            "git -c core.pager=x status",
            "git -C /x push",
            "git --paginate log",
        ),
        *("git diff --output=x", "git diff --output x", "git diff --outp=x", "git diff --ext-diff"),
        *(
            "git log --textconv",
            "git log -O x",
            "git grep -O x",
            "git grep --no-index x",
            "git branch x",
        ),
        *("git branch -D x", "git branch -m a", "git tag x", "git tag -d x", "git remote add a b"),
        *("git remote update", "git fetch", "git checkout .", "git stash", "git config a b"),
        *("git diff -U --output=x", "git log -n --output=x", "git x", "git diff --no-index a b"),
        *(
            "git --exec-path=x status",
            "git status --untracked-files=all x --foo",
            "GIT_DIR=x git log",
        ),
    ],
)
def test_git_that_does_more_is_not_harmless(line: str) -> None:
    assert found(line) is None


@pytest.mark.parametrize(
    "line",
    [
        *(
            "find -exec rm {} +",
            "find . -execdir x",
            "find . -ok x",
            "find . -delete",
            "find -fprint x",
        ),
        *(
            "find . -fprintf x y",
            "find . -fls x",
            "find -files0-from x",
            "find . -name",
            "find -L .",
        ),
        *(
            "sed -i s/a/b/ x",
            "sed -n '1e x'",
            "sed -n 'w x'",
            "sed -n 1p -i x",
            "sed -n",
            "sed 1p x",
        ),
        *(
            "sed -n '1,2,3p' x",
            "sed -n p x",
            "sed -n /a/p x",
            "sed -ni 1p x",
            "sed -n 1p --in-place x",
        ),
        *(
            "sort -o x y",
            "sort -ro x",
            "sort --output=x",
            "sort --compress-program=x",
            "sort -T /x",
        ),
        *("rg --pre x y", "rg --pre=x y", "rg -z x", "rg --search-zip x", "rg --hostname-bin=x y"),
        *("rg -f /x", "grep -f /x", "grep -R x", "rg -L x", "rg --follow x", "rg -e -x"),
        *("date -s x", "date --set=x", "date 01010000", "date -I -s +x", "date -f x", "date -r x"),
        *(
            "uniq a b",
            "tree -o x",
            "tree -R -H x",
            "file -C",
            "file -m x",
            "file -f x",
            "wc --files0-from=x",
        ),
        *("env", "printenv", "ps", "awk 1", "xargs ls", "nice ls -x --foo", "tee x", "tar tf x"),
        *(
            "printf -v PATH x",
            "cd a b",
            "cat --foo",
            "ls --hyperlink-exec",
            "less x",
            "man ls",
            "vi x",
        ),
        *(
            "npm --version",
            "python3 -V x",
            "python3 --version x",
            "diff --to-file=x y",
            "diff -l a b",
        ),
        *(
            "./cat x",
            "/bin/cat x",
            "\u0441at x",
            "X=1 cat a",
            "ENV=x ls",
            "command -p ls",
            "id x",
            "tail -f x",
        ),
        *("test -v x", "[ -f a", "[ -f a -o -f b ]", "test", "[ a -nt b ]", "xxd -r a", "xxd a b"),
        *(
            "fd -x rm",
            "bash -v",
            "git -v",
            "node -e 1",
            "hostname -F x",
            "npm -v",
            "cargo --version",
        ),
        *("ping x", "nslookup x", "cut --output-delimiter=x", "hostname x", "git", "time -o x ls"),
    ],
)
def test_what_may_write_or_run_is_not_harmless(line: str) -> None:
    assert found(line) is None


@pytest.mark.parametrize(
    ("line", "walks"),
    [
        ("grep x", False),
        ("grep -n x a", False),
        ("grep -rn x", True),
        ("grep --recursive x src", True),
        ("rg x", True),
        ("diff a b", True),
        ("fd x", False),
        ("git log --oneline -5", False),
        ("git log -5 -p", True),
        ("git log --stat", False),
        ("git log --patch", True),
        ("git log -L 1,5:a", True),
        ("git diff", True),
        ("git diff --stat", False),
        ("git diff --stat -p", True),
        ("git diff --name-only -U3", True),
        ("git show --stat", True),
        ("git status", False),
    ],
)
def test_what_shows_contents_nobody_named_says_so(line: str, walks: bool) -> None:
    look = found(line)
    assert look is not None
    assert look[0].walks is walks


def test_git_may_be_told_where_to_look() -> None:
    look = found("git -C src log")
    assert look is not None
    assert look[0].directory == "src"


def test_programs_are_said_with_their_places() -> None:
    look = found(["timeout 5 cat a", " true"][0])
    assert look is not None
    assert look[1] == ("/bin/timeout", "/bin/cat")


def test_a_program_that_is_not_found_is_not_harmless() -> None:
    (command,) = commands_of("cat a")
    assert harmless(command, lambda _: None) is None


def test_nothing_is_not_harmless() -> None:
    (command,) = commands_of("> a")
    assert harmless(command) is None
