"""The programs that only look, with the options that keep it so: data.

What is not listed is not harmless: an option that nobody has thought of may write a file or run a
program, as `sort -o`, `rg --pre` and `git diff --output` do. A program is not listed either where
a file of the project may decide what its options do. Knows nothing about command lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["BUILTINS", "FIND_FLAGS", "FIND_TESTS", "GIT", "PROGRAMS", "VERSIONS", "Program"]


@dataclass(frozen=True, slots=True)
class Program:
    """The options and words that a program may get and still only look."""

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
    shows: str | None = None
    """The short options with which it shows what is in files that are not named; "" for always."""
    shows_long: frozenset[str] = frozenset()
    """The long ones."""
    names: frozenset[str] = frozenset()
    """Options with which it shows names alone, where none of the above is given."""


_VERSION = frozenset({"--version"})

_ALL = 1_000_000
"""As a number of words: none of them is a path."""


def _long(names: str) -> frozenset[str]:
    return frozenset(f"--{name}" for name in names.split())


def _is_format(words: Sequence[str]) -> bool:
    return all(word.startswith("+") for word in words)  # anything else sets the clock


_GREP = Program(
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
    shows="r",
    shows_long=_long("recursive"),
)
_FD = Program("0FHIagips", "Edet", _long("extension hidden max-depth no-ignore type"), texts=1)
_SUM = Program("bt", "", _long("binary text tag"))

PROGRAMS: Mapping[str, Program] = MappingProxyType(
    {
        "arch": Program(most=0),
        "b2sum": _SUM,
        "basename": Program("az", "s", _long("multiple suffix zero"), texts=_ALL),
        "cat": Program("AbEensTtuv", "", _long("number show-all number-nonblank squeeze-blank")),
        "cd": Program(most=1),
        "cksum": Program(),
        "cmp": Program("bls", "n", _long("bytes print-bytes quiet silent verbose"), most=2),
        "column": Program("tx", "cs"),
        "comm": Program("123z", most=2),
        "cut": Program(
            "ns", "bcdf", _long("bytes characters complement delimiter fields only-delimited")
        ),
        "date": Program("IRu", "", _long("iso-8601 rfc-3339 utc universal"), fits=_is_format),
        "df": Program("HTahiklP", "t", _long("human-readable local portability total")),
        "diff": Program(
            "BENZabdeiqrstuwy",
            "CUWx",
            _long(
                "brief color exclude recursive report-identical-files side-by-side unified width"
            ),
            numbers=True,
            most=2,
            shows="",
        ),
        "dirname": Program("z", "", _long("zero"), texts=_ALL),
        "du": Program(
            "abchkmsx",
            "d",
            _long("all apparent-size bytes human-readable max-depth summarize total"),
        ),
        "egrep": _GREP,
        "false": Program(),
        "fd": _FD,
        "fdfind": _FD,
        "fgrep": _GREP,
        "file": Program("Lbhi", "", _long("brief mime mime-type mime-encoding")),
        "fold": Program("bs", "w"),
        "free": Program("bghkmtw", most=0),
        "grep": _GREP,
        "groups": Program(most=0),
        "head": Program("qvz", "cn", _long("bytes lines quiet silent verbose"), numbers=True),
        "hexdump": Program("Cbcdovx", "ns"),
        "hostname": Program("fis", most=0),
        "id": Program("Ggnru", most=0),
        "ls": Program(
            "1ABCFGHLNQRSUXZabcdfghiklmnopqrstuvx",
            "ITw",
            _long(
                "all almost-all classify color directory full-time group-directories-first "
                "human-readable inode recursive reverse si size sort time time-style width"
            ),
        ),
        "md5sum": _SUM,
        "nl": Program("p", "bfhilnsvw"),
        "nproc": Program("", "", _long("all"), most=0),
        "od": Program("bcdfiloxv", "AjNt"),
        "paste": Program("sz", "d"),
        "printf": Program(texts=_ALL),
        "pwd": Program("LP", most=0),
        "readlink": Program("efmnqsvz", "", _long("canonicalize no-newline")),
        "realpath": Program("LPemqsz", "", _long("relative-to relative-base no-symlinks strip")),
        "rg": Program(
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
            shows="",
        ),
        "rev": Program(),
        "seq": Program("w", "fs", texts=_ALL),
        "sha1sum": _SUM,
        "sha256sum": _SUM,
        "sha512sum": _SUM,
        "sleep": Program(texts=_ALL),
        "sort": Program(
            "CMRVbcdfghimnrsuz",
            "kt",
            _long(
                "check field-separator general-numeric-sort human-numeric-sort ignore-case key "
                "numeric-sort reverse stable unique version-sort"
            ),
        ),
        "stat": Program("Lft", "c", _long("dereference file-system format printf terse")),
        "strings": Program("af", "nt"),
        "tac": Program(),
        "tail": Program("qvz", "cn", _long("bytes lines quiet silent verbose"), numbers=True),
        "tr": Program("Ccdst", "", _long("complement delete squeeze-repeats"), texts=2, most=2),
        "tree": Program(
            "CDFJQXadfghinpqrstuv", "ILP", _long("dirsfirst gitignore noreport prune du si")
        ),
        "true": Program(),
        "type": Program("aPpt", texts=_ALL),
        "uname": Program("amnoprsv", most=0),
        "uptime": Program("ps", most=0),
        "uniq": Program(
            "Dcdiuz",
            "fsw",
            _long("count repeated unique ignore-case skip-fields skip-chars check-chars"),
            most=1,  # the second one would be written
        ),
        "wc": Program("Lclmw", "", _long("bytes chars lines max-line-length words")),
        "which": Program("as", texts=_ALL),
        "whoami": Program(most=0),
        "xxd": Program("abeip", "cgls", most=1),  # the second one would be written
    }
)

BUILTINS = frozenset(
    {"[", "cd", "command", "echo", "false", "printf", "pwd", "test", "true", "type"}
)
"""What bash does itself."""

VERSIONS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        **dict.fromkeys(("bash", "cc", "clang", "cmake", "g++", "gcc", "git", "make"), _VERSION),
        **dict.fromkeys(("pip", "pip3", "uv"), _VERSION),
        **dict.fromkeys(("python", "python3", "rg"), _VERSION | {"-V"}),
        "node": _VERSION | {"-v"},
    }
)
"""Programs that say their version without reading anything of the project."""

FIND_TESTS = frozenset(
    {
        *("-amin", "-atime", "-cmin", "-ctime", "-iname", "-ipath", "-maxdepth", "-mindepth"),
        *("-mmin", "-mtime", "-name", "-newer", "-path", "-perm", "-size", "-type", "-user"),
        *("-iregex", "-regex", "-regextype", "-printf"),
    }
)
"""What of find takes a value and only looks."""
FIND_FLAGS = frozenset(
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
_GIT_NAMES = _long("dirstat name-only name-status numstat shortstat stat summary")
_GIT_PATCH = _long("check patch patch-with-stat unified")
_GIT_LOG = _GIT_DIFF | _long(
    "after all all-match author before branches cherry-pick committer date decorate "
    "first-parent follow format graph grep invert-grep left-right max-count merges no-decorate "
    "no-merges no-patch oneline remotes reverse since skip tags topo-order until"
)
_GIT_LISTS = _long("date format max-count oneline")
GIT: Mapping[str, Program] = MappingProxyType(
    {
        "blame": Program(
            "CMbcefilnpstw", "L", _long("porcelain line-porcelain date root"), shows=""
        ),
        "branch": Program(
            "arv", "", _long("all remotes list show-current verbose no-color"), most=0
        ),
        "describe": Program("", "", _long("abbrev all always dirty long match tags")),
        "diff": Program(
            *("MRabpquwz", "US", _GIT_DIFF),
            shows="pUu",
            shows_long=_GIT_PATCH,
            names=_GIT_NAMES,
        ),
        "grep": Program(
            "EFGHILPachilnopqvwzW",
            "ABCem",
            _long(
                "after-context all-match and before-context break cached column context count "
                "extended-regexp files-with-matches files-without-match fixed-strings "
                "function-context heading ignore-case invert-match line-number max-count "
                "max-depth name-only no-color not only-matching or perl-regexp quiet "
                "show-function untracked word-regexp"
            ),
            texts=1,
            pattern="e",
            shows="",
        ),
        "log": Program(
            *("Mipqz", "GLSUn", _GIT_LOG), numbers=True, shows="LUp", shows_long=_GIT_PATCH
        ),
        "ls-files": Program(
            "cdikmostuz",
            "x",
            _long("cached deleted exclude exclude-standard ignored modified others stage unmerged"),
        ),
        "ls-tree": Program("drtlz", "", _long("abbrev full-name full-tree long name-only")),
        "merge-base": Program("a", "", _long("all is-ancestor octopus")),
        "reflog": Program("n", "", _GIT_LISTS, numbers=True, most=0),
        "remote": Program("v", "", _long("verbose"), most=0),
        "remote get-url": Program("", "", _long("all push"), texts=1, most=1),
        "rev-list": Program("n", "", _long("all count max-count since until reverse")),
        "rev-parse": Program(
            "",
            "",
            _long("abbrev-ref git-dir is-inside-work-tree short show-prefix show-toplevel verify"),
        ),
        "shortlog": Program("ens", "", _long("email numbered summary since until")),
        "show": Program("Mipqz", "GLSUn", _GIT_LOG, numbers=True, shows=""),
        "stash list": Program("n", "", _GIT_LISTS, numbers=True, most=0),
        "status": Program("bsuvz", "", _long("branch column ignored long porcelain renames short")),
        "tag": Program("l", "", _long("list sort"), most=0),
        "worktree list": Program("v", "", _long("porcelain verbose"), most=0),
    }
)
