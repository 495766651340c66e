"""Patches as models write them, read into changes of files; nothing is applied here.

Two formats: the one that begins with `*** Begin Patch`, as some model families are trained on it
(https://cookbook.openai.com/examples/gpt4-1_prompting_guide#apply-patch), and unified diffs
(https://www.gnu.org/software/diffutils/manual/html_node/Detailed-Unified.html), also git's. Knows
nothing about what the files hold.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from victor.tools.context import ToolError
from victor.tools.paths import shown
from victor.tools.text import lines_of

__all__ = ["FileChange", "Hunk", "parsed_patch", "patched_paths"]

_BEGIN, _END = "*** Begin Patch", "*** End Patch"
_FILE = re.compile(r"\*\*\* (Add|Update|Delete) File: (.+)")
_MOVE = re.compile(r"\*\*\* Move to: (.+)")
_RANGE = re.compile(r"@@ -(\d+)(?:,(\d+))? \+\d+(?:,(\d+))? @@(.*)")
_NO_RANGE = re.compile(r"@@ *(?:\.\.\. *)?(?:@@)? *")
"""How models write it that do not count."""
_NO_NEWLINE = "\\ No newline"
_GIT_NOTES = ("index ", "old mode ", "new mode ", "new file mode ", "deleted file mode ")
_GIT_MORE = ("similarity index ", "dissimilarity index ", "rename from ", "rename to ")


@dataclass(slots=True)
class Hunk:
    """One place of a file and what becomes of it."""

    lines: list[tuple[str, str]] = field(default_factory=list)
    """Each a mark (a space: stays, `-`: goes, `+`: comes) and a line without its end."""
    anchors: list[str] = field(default_factory=list)
    """Lines that come before the place, outermost first."""
    line: int | None = None
    """The number of its first old line, where the patch says it; from 1, 0 in an empty file."""
    at_end: bool = False
    """The place is the end of the file."""
    ends_bare: bool | None = None
    """Whether the file ends without a newline afterwards; None where the patch does not say."""

    @property
    def old(self) -> list[str]:
        """The lines that have to be there."""
        return [text for mark, text in self.lines if mark != "+"]


@dataclass(slots=True)
class FileChange:
    """What becomes of one file."""

    kind: Literal["add", "update", "delete"]
    path: str
    hunks: list[Hunk] = field(default_factory=list)
    """For `add` one hunk with the whole content."""
    move_to: str | None = None


def parsed_patch(patch: str) -> list[FileChange]:
    """Read a patch in either format.

    Raises:
        ToolError: it is neither, or is cut off; the message says where.
    """
    lines = _unfenced(lines_of(patch.replace("\r\n", "\n")))
    if lines and lines[0].strip() == _BEGIN:
        changes = _Marked(lines).changes()
    elif any(line.startswith(("--- ", "diff --git ")) for line in lines):
        changes = _Unified(lines).changes()
    else:
        raise ToolError(
            f"this is no patch: begin it with {_BEGIN!r}, or with '--- a/path' and '+++ b/path'"
        )
    if not changes:
        raise ToolError("the patch changes no file")
    return changes


def patched_paths(patch: str) -> list[str]:
    """Return every path a patch would write or remove, for whoever decides whether it may.

    Raises:
        ToolError: as in `parsed_patch`.
    """
    names = [name for one in parsed_patch(patch) for name in (one.path, one.move_to) if name]
    return list(dict.fromkeys(names))


def _unfenced(lines: list[str]) -> list[str]:
    """Drop blank lines and a code fence round a patch."""
    start, end = 0, len(lines)
    while start < end and (not lines[start].strip() or lines[start].startswith("```")):
        start += 1
    # A single space at the end is an empty line of context.
    while end > start and (not lines[end - 1] or lines[end - 1].strip() == "```"):
        end -= 1
    return lines[start:end]


def _body_line(line: str) -> tuple[str, str] | None:
    # An empty line is a context line whose one space was lost.
    if not line:
        return (" ", "")
    return (line[0], line[1:]) if line[0] in " +-" else None


def _without_lost_end(hunk: Hunk) -> Hunk:
    """Drop empty lines at the end of a hunk: they part it from what follows."""
    while hunk.lines and hunk.lines[-1] == (" ", ""):
        hunk.lines.pop()
    return hunk


class _Marked:
    """The reader of the format with `*** Begin Patch`."""

    def __init__(self, lines: list[str]) -> None:
        while not lines[-1].strip():
            lines = lines[:-1]
        if lines[-1].strip() != _END:
            raise ToolError(f"the patch is cut off: its last line has to be {_END!r}")
        self._lines = lines[1:-1]
        self._at = 0

    def changes(self) -> list[FileChange]:
        found: list[FileChange] = []
        while self._at < len(self._lines):
            line = self._lines[self._at]
            self._at += 1
            if header := _FILE.fullmatch(line.rstrip()):
                found.append(self._change(header[1], header[2].strip()))
            elif line.strip():
                raise ToolError(
                    f"line {self._at + 1} of the patch, {shown(line[:80])!r}, is not '*** Add "
                    "File: …', '*** Update File: …' or '*** Delete File: …'"
                )
        return found

    def _change(self, kind: str, path: str) -> FileChange:
        if kind == "Delete":
            return FileChange("delete", path)
        if kind == "Add":
            return FileChange("add", path, [self._added(path)])
        change = FileChange("update", path)
        if self._at < len(self._lines) and (move := _MOVE.fullmatch(self._lines[self._at])):
            change.move_to = move[1].strip()
            self._at += 1
        while self._at < len(self._lines) and not _FILE.match(self._lines[self._at]):
            change.hunks.append(self._hunk(path))
        change.hunks = [hunk for hunk in change.hunks if hunk.lines]
        if not change.hunks and change.move_to is None:
            raise ToolError(f"the patch says nothing about {shown(path)!r}: it has no hunk")
        return change

    def _added(self, path: str) -> Hunk:
        hunk = Hunk()
        while self._at < len(self._lines) and not _FILE.match(self._lines[self._at]):
            line = self._lines[self._at]
            self._at += 1
            if line and not line.startswith("+"):
                raise ToolError(
                    f"line {self._at + 1} of the patch is content of the new file "
                    f"{shown(path)!r}, and has to begin with +"
                )
            hunk.lines.append(("+" if line else " ", line[1:]))
        _without_lost_end(hunk).lines = [("+", text) for _, text in hunk.lines]
        return hunk

    def _hunk(self, path: str) -> Hunk:
        hunk = Hunk()
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if line.startswith("@@"):
                if hunk.lines:
                    break
                self._anchor(hunk, line)
            elif line.rstrip() == "*** End of File":
                self._at += 1
                hunk.at_end = True
                break
            elif _FILE.match(line):
                break
            elif (read := _body_line(line)) is not None:
                hunk.lines.append(read)
            else:
                raise ToolError(
                    f"line {self._at + 2} of the patch, {shown(line[:80])!r}, in the hunk of "
                    f"{shown(path)!r}: lines begin with a space, + or -"
                )
            self._at += 1
        return _without_lost_end(hunk)

    def _anchor(self, hunk: Hunk, line: str) -> None:
        numbers = _RANGE.fullmatch(line)  # some models mix the two formats
        if numbers:
            hunk.line = int(numbers[1])
        elif text := line[2:].removesuffix("@@").removeprefix(" ").rstrip():
            hunk.anchors.append(text)


class _Unified:
    """The reader of unified diffs."""

    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self._at = 0

    def changes(self) -> list[FileChange]:
        found: list[FileChange] = []
        renamed: list[str] = []
        while self._at < len(self._lines):
            line = self._lines[self._at]
            if self._is_header():
                found.append(self._change(renamed))
                renamed = []
                continue
            self._at += 1
            if line.startswith("diff --git "):
                found += _moved(renamed)
                renamed = []
            elif line.startswith(("rename from ", "rename to ")):
                renamed.append(line.split(" ", 2)[2])
            elif line.strip() and not line.startswith((*_GIT_NOTES, *_GIT_MORE)):
                raise ToolError(
                    f"line {self._at} of the diff, {shown(line[:80])!r}, belongs to no hunk"
                )
        return found + _moved(renamed)

    def _is_header(self) -> bool:
        lines = self._lines[self._at : self._at + 2]
        return len(lines) == 2 and lines[0].startswith("--- ") and lines[1].startswith("+++ ")

    def _change(self, renamed: list[str]) -> FileChange:
        before, after = (_name(line) for line in self._lines[self._at : self._at + 2])
        self._at += 2
        hunks: list[Hunk] = []
        while self._at < len(self._lines) and self._lines[self._at].startswith("@@"):
            hunks.append(self._hunk())
        if before is None and after is None:
            raise ToolError("the diff has /dev/null on both sides")
        if before is None:
            return FileChange("add", after or "", hunks)
        if after is None:
            return FileChange("delete", before, hunks)
        if len(renamed) == 2:
            return FileChange("update", renamed[0], hunks, move_to=renamed[1])
        return FileChange("update", after, hunks)

    def _hunk(self) -> Hunk:
        hunk, left = self._begun(self._lines[self._at])
        self._at += 1
        while self._at < len(self._lines):
            line = self._lines[self._at]
            # Models miscount: more may follow all the same.
            complete = bool(left) and max(left.values()) <= 0
            over = (complete and not line) or ((complete or not left) and self._is_header())
            if line.startswith(_NO_NEWLINE):
                _bare(hunk)
            elif over or not (read := _body_line(line)):
                break
            else:
                hunk.lines.append(read)
                for side in left.keys() & ("-+" if read[0] == " " else read[0]):
                    left[side] -= 1
            self._at += 1
        return hunk if left.get("-") == 0 else _without_lost_end(hunk)

    def _begun(self, line: str) -> tuple[Hunk, dict[str, int]]:
        """Return a hunk without lines, and how many of each kind it is to have, if that is said."""
        if numbers := _RANGE.fullmatch(line):
            left = {"-": int(numbers[2] or "1"), "+": int(numbers[3] or "1")}
            return Hunk(line=int(numbers[1])), left
        if not _NO_RANGE.fullmatch(line):
            raise ToolError(
                f"line {self._at + 1} of the diff, {shown(line[:80])!r}, is not "
                "'@@ -line,count +line,count @@'"
            )
        return Hunk(), {}


def _bare(hunk: Hunk) -> None:
    mark = hunk.lines[-1][0] if hunk.lines else " "
    # On a line that goes, it says that the old file ended so, and the new one does not.
    hunk.ends_bare = mark != "-"


def _moved(renamed: list[str]) -> list[FileChange]:
    if len(renamed) != 2:
        return []
    return [FileChange("update", renamed[0], move_to=renamed[1])]


def _name(line: str) -> str | None:
    """Return the path of a `---` or `+++` line; None for /dev/null."""
    name = line[4:].partition("\t")[0].strip()
    if name == "/dev/null":
        return None
    if name.startswith('"'):
        raise ToolError(f"write the path {shown(name)} in the diff without quotes and escapes")
    return name[2:] if name.startswith(("a/", "b/")) else name
