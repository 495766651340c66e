"""The commands that only look, with the options that keep it so.

What is not listed is not harmless: an option that nobody has thought of may write a file or run a
program, as `sort -o`, `rg --pre` and `git diff --output` do. Knows nothing about rules or modes; a
sandbox remains the boundary.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from victor.agent.commands import Command

__all__ = ["Look", "harmless"]


@dataclass(frozen=True, slots=True)
class Look:
    """What a harmless command looks at."""

    paths: tuple[str, ...] = ()
    """The words that may be paths, as written."""
    repository: bool = False
    """Whether it is git, which obeys the repository's own configuration."""
    walks: bool = False
    """Whether it shows what is in files that are not named; without paths, of where it runs."""


@dataclass(frozen=True, slots=True)
class _Program:
    flags: str = ""
    """Short options without a value."""
    valued: str = ""
    """Short options that need one; options with an optional value are not for this list."""
    long: frozenset[str] = frozenset()
    """Long options, with or without `=value`."""
    numbers: bool = False
    """Whether `-5` is an option."""
    texts: int = 0
    """How many of the first other words are no paths."""
    pattern: str = ""
    """Short options that give the first text, so that it is a path after all."""
    most: int | None = None
    """How many other words it may get."""
    fits: Callable[[Sequence[str]], bool] | None = None
    """Judges the other words."""


_ALL = 1_000_000
"""As a number of words: none of them is a path."""


def _long(names: str) -> frozenset[str]:
    return frozenset(f"--{name}" for name in names.split())


def _is_format(words: Sequence[str]) -> bool:
    return all(word.startswith("+") for word in words)  # anything else sets the clock


def _prints_lines(words: Sequence[str]) -> bool:
    """Tell whether a sed script is `5p`, `1,20p` or `$p`; sed can also write, and run programs."""
    script = words[0] if words else ""
    ends = script.removesuffix("p").split(",")
    return script.endswith("p") and len(ends) <= 2 and all(_is_line(end) for end in ends)


def _is_line(text: str) -> bool:
    return text == "$" or (text.isascii() and text.isdigit())


_GREP = _Program(
    "EFGHILTZachilnoqrsvwxz",
    "ABCem",
    _long(
        "after-context before-context context color colour count extended-regexp fixed-strings "
        "files-with-matches files-without-match ignore-case include exclude exclude-dir "
        "invert-match line-number max-count no-filename no-messages only-matching perl-regexp "
        "quiet recursive regexp with-filename word-regexp"
    ),
    numbers=True,
    texts=1,
    pattern="e",
)
_SUM = _Program("bt", "", _long("binary text tag"))

_PROGRAMS: Mapping[str, _Program] = MappingProxyType(
    {
        "basename": _Program("az", "s", _long("multiple suffix zero"), texts=_ALL),
        "cat": _Program("AbEensTtuv", "", _long("number show-all number-nonblank squeeze-blank")),
        "cd": _Program(most=1),
        "cmp": _Program("bls", "n", _long("bytes print-bytes quiet silent verbose"), most=2),
        "cut": _Program(
            "ns", "bcdf", _long("bytes characters complement delimiter fields only-delimited")
        ),
        "date": _Program("IRu", "", _long("iso-8601 rfc-3339 utc universal"), fits=_is_format),
        "diff": _Program(
            "BENZabdeiqrstuwy",
            "CUWx",
            _long(
                "brief color exclude recursive report-identical-files side-by-side unified width"
            ),
            numbers=True,
            most=2,
        ),
        "dirname": _Program("z", "", _long("zero"), texts=_ALL),
        "du": _Program(
            "abchkmsx",
            "d",
            _long("all apparent-size bytes human-readable max-depth summarize total"),
        ),
        "egrep": _GREP,
        "false": _Program(),
        "fgrep": _GREP,
        "file": _Program("Lbhi", "", _long("brief mime mime-type mime-encoding")),
        "grep": _GREP,
        "head": _Program("qvz", "cn", _long("bytes lines quiet silent verbose"), numbers=True),
        "id": _Program("Ggnru", most=0),
        "ls": _Program(
            "1ABCFGHLNQRSUXZabcdfghiklmnopqrstuvx",
            "ITw",
            _long(
                "all almost-all classify color directory full-time group-directories-first "
                "human-readable inode recursive reverse si size sort time time-style width"
            ),
        ),
        "md5sum": _SUM,
        "nl": _Program("p", "bfhilnsvw"),
        "printf": _Program(texts=_ALL),
        "pwd": _Program("LP", most=0),
        "readlink": _Program("efmnqsvz", "", _long("canonicalize no-newline")),
        "realpath": _Program("LPemqsz", "", _long("relative-to relative-base no-symlinks strip")),
        "rg": _Program(
            "FHINPSUacilnopqsvwx",
            "ABCMTdegmtjE",
            _long(
                "after-context before-context context case-sensitive color count count-matches "
                "column encoding files files-with-matches files-without-match fixed-strings glob "
                "heading hidden iglob ignore-case invert-match json line-number max-columns "
                "max-count max-depth multiline multiline-dotall no-config no-filename no-heading "
                "no-ignore no-line-number no-messages null only-matching pcre2 quiet regexp "
                "replace smart-case sort sortr stats threads trim type type-list type-not vimgrep "
                "with-filename word-regexp"
            ),
            texts=1,
            pattern="e",
        ),
        "seq": _Program("w", "fs", texts=_ALL),
        "sha1sum": _SUM,
        "sha256sum": _SUM,
        "sleep": _Program(texts=_ALL),
        "sort": _Program(
            "CMRVbcdfghimnrsuz",
            "kt",
            _long(
                "check field-separator general-numeric-sort human-numeric-sort ignore-case key "
                "numeric-sort reverse stable unique version-sort"
            ),
        ),
        "stat": _Program("Lft", "c", _long("dereference file-system format printf terse")),
        "tail": _Program("qvz", "cn", _long("bytes lines quiet silent verbose"), numbers=True),
        "tr": _Program("Ccdst", "", _long("complement delete squeeze-repeats"), texts=2, most=2),
        "tree": _Program(
            "CDFJQXadfghinpqrstuv", "ILP", _long("dirsfirst gitignore noreport prune du si")
        ),
        "true": _Program(),
        "uname": _Program("amnoprsv", most=0),
        "uniq": _Program(
            "Dcdiuz",
            "fsw",
            _long("count repeated unique ignore-case skip-fields skip-chars check-chars"),
            most=1,  # the second one would be written
        ),
        "wc": _Program("Lclmw", "", _long("bytes chars lines max-line-length words")),
        "which": _Program("as", texts=_ALL),
        "whoami": _Program(most=0),
    }
)

_WALKERS = frozenset({"diff", "egrep", "fgrep", "grep", "rg"})

_VERSIONS = frozenset({"bash", "gcc", "git", "make", "node", "python", "python3", "rg"})
"""Programs that say their version without reading anything of the project."""

_FIND_TESTS = frozenset(
    {
        *("-amin", "-atime", "-cmin", "-ctime", "-iname", "-ipath", "-maxdepth", "-mindepth"),
        *("-mmin", "-mtime", "-name", "-newer", "-path", "-perm", "-size", "-type", "-user"),
        *("-iregex", "-regex", "-regextype", "-printf"),
    }
)
"""What of find takes a value and only looks."""
_FIND_FLAGS = frozenset(
    {
        *("-a", "-and", "-daystart", "-depth", "-empty", "-executable", "-false", "-H"),
        *("-ls", "-mount", "-not", "-o", "-or", "-P", "-print", "-print0", "-prune"),
        *("-quit", "-readable", "-true", "-writable", "-xdev", "!", "(", ")", ","),
    }
)

_GIT_DIFF = _long(
    "abbrev abbrev-commit cached check color diff-filter dirstat exit-code find-copies "
    "find-renames full-index histogram ignore-all-space ignore-blank-lines ignore-space-at-eol "
    "ignore-space-change inter-hunk-context merge-base minimal name-only name-status "
    "no-color no-ext-diff no-prefix no-renames no-textconv numstat patch patch-with-stat patience "
    "pretty quiet raw shortstat staged stat summary unified word-diff"
)
_GIT_LOG = _GIT_DIFF | _long(
    "after all all-match author before branches cherry-pick committer date decorate "
    "first-parent follow format graph grep invert-grep left-right max-count merges no-decorate "
    "no-merges no-patch oneline remotes reverse since skip tags topo-order until"
)
_GIT: Mapping[str, _Program] = MappingProxyType(
    {
        "blame": _Program("CMbcefilnpstw", "L", _long("porcelain line-porcelain date root")),
        "branch": _Program(
            "arv", "", _long("all remotes list show-current verbose no-color"), most=0
        ),
        "describe": _Program("", "", _long("abbrev all always dirty long match tags")),
        "diff": _Program("MRabpquwz", "US", _GIT_DIFF, numbers=False),
        "log": _Program("Mipqz", "GLSUn", _GIT_LOG, numbers=True),
        "ls-files": _Program(
            "cdikmostuz",
            "x",
            _long("cached deleted exclude exclude-standard ignored modified others stage unmerged"),
        ),
        "ls-tree": _Program("drtlz", "", _long("abbrev full-name full-tree long name-only")),
        "merge-base": _Program("a", "", _long("all is-ancestor octopus")),
        "remote": _Program("v", "", _long("verbose"), most=0),
        "rev-list": _Program("n", "", _long("all count max-count since until reverse")),
        "rev-parse": _Program(
            "",
            "",
            _long("abbrev-ref git-dir is-inside-work-tree short show-prefix show-toplevel verify"),
        ),
        "shortlog": _Program("ens", "", _long("email numbered summary since until")),
        "show": _Program("Mipqz", "GLSUn", _GIT_LOG, numbers=True),
        "status": _Program(
            "bsuvz", "", _long("branch column ignored long porcelain renames short")
        ),
        "tag": _Program("l", "", _long("list sort"), most=0),
    }
)


_GIT_NAMES = frozenset(
    {"branch", "describe", "ls-files", "ls-tree", "merge-base", "remote", "rev-list", "rev-parse"}
    | {"shortlog", "status", "tag"}
)
"""What of git shows names and no contents."""


def harmless(
    command: Command, which: Callable[[str], str | None] = shutil.which
) -> tuple[Look, tuple[str, ...]] | None:
    """Return what a command looks at, if looking is all it does.

    Args:
        command: a command without `unknown`.
        which: finds a program, as `shutil.which`.

    Returns:
        What it looks at, and where the programs lie that it runs; None if it may do more, or if a
        program is not found.
    """
    values = [word.text for word in command.words]
    if not values or command.values != tuple(values):
        return None
    look = _look(values)
    if look is None:
        return None
    names = [name for name in (*command.through, values[0]) if name not in _BUILTINS]
    places = [which(name) for name in names]
    if not all(places):
        return None
    return look, tuple(place for place in places if place)


_BUILTINS = frozenset({"cd", "command", "echo", "false", "printf", "pwd", "true"})


def _look(values: Sequence[str]) -> Look | None:
    program, *rest = values
    match program:
        case "git":
            return _look_of_git(rest)
        case "find":
            return _look_of_find(rest)
        case "echo":
            return Look()
        case "command" if rest[:1] in (["-v"], ["-V"]):
            return Look()
        case "sed" if rest[:1] == ["-n"] and _prints_lines(rest[1:]):
            return _look_of(_Program(), rest[2:])
    if program in _VERSIONS and rest == ["--version"]:
        return Look()
    known = _PROGRAMS.get(program)
    look = None if known is None else _look_of(known, rest)
    return look and replace(look, walks=program in _WALKERS)


def _look_of_git(rest: Sequence[str]) -> Look | None:
    if rest[:1] == ["--no-pager"]:
        rest = rest[1:]
    if rest == ["--version"]:
        return Look()
    known = _GIT.get(rest[0]) if rest else None
    look = None if known is None else _look_of(known, rest[1:])
    return look and Look(look.paths, repository=True, walks=rest[0] not in _GIT_NAMES)


def _look_of_find(rest: Sequence[str]) -> Look | None:
    paths: list[str] = []
    words = iter(rest)
    for word in words:
        if word in _FIND_TESTS:
            value = next(words, None)
            if value is None:
                return None
            paths += [value] if word == "-newer" else []
        elif word.startswith("-") or word in _FIND_FLAGS:
            if word not in _FIND_FLAGS:
                return None
        else:
            paths.append(word)
    return Look(tuple(paths) or (".",))


def _look_of(known: _Program, rest: Sequence[str]) -> Look | None:
    found = _Found()
    if not all(_takes(known, option, found) for option in _options(known, rest, found)):
        return None
    others = found.others
    if known.most is not None and len(others) > known.most:
        return None
    if known.fits is not None and not known.fits(others):
        return None
    texts = 0 if found.has_pattern else known.texts
    return Look((*found.values, *others[texts:]))


@dataclass(slots=True)
class _Found:
    others: list[str]
    """What is no option."""
    values: list[str]
    """What options get, where it looks like a path."""
    has_pattern: bool = False

    def __init__(self) -> None:
        self.others, self.values, self.has_pattern = [], [], False


def _options(known: _Program, rest: Sequence[str], found: _Found) -> Iterator[str]:
    """Yield the options, with a short one's value attached; collect the other words."""
    words = iter(rest)
    for word in words:
        if word == "--":
            found.others += words
        elif not word.startswith("-") or word == "-":
            found.others.append(word)
        elif not word.startswith("--") and word[-1] in known.valued and _ends_open(known, word):
            value = next(words, "")
            yield "--" if value.startswith("-") else word + value  # two options, or a value?
        else:
            yield word


def _ends_open(known: _Program, word: str) -> bool:
    return all(letter in known.flags for letter in word[1:-1])


def _takes(known: _Program, option: str, found: _Found) -> bool:
    """Tell whether an option is one of those that only look."""
    if option.startswith("--"):
        name, equals, value = option.partition("=")
        found.has_pattern |= name in {"--regexp", "--files"}
        found.values += [value] if equals and _may_be_path(value) else []
        return name in known.long
    if known.numbers and option[1:].isascii() and option[1:].isdigit():
        return True
    for index, letter in enumerate(option[1:], 1):
        if letter in known.valued:
            value = option[index + 1 :]
            found.has_pattern |= letter in known.pattern
            found.values += [value] if letter not in known.pattern and _may_be_path(value) else []
            return True
        if letter not in known.flags:
            return False
    return True


def _may_be_path(value: str) -> bool:
    return "/" in value or value.startswith("..")
