"""The tool that applies a patch to several files: all of it or nothing.

For model families that are trained on patches; others do better with edit. Formats are in
`victor.tools.patches`. Knows nothing about permissions.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field

from victor.errors import VictorError
from victor.tools.base import ToolContext, ToolError, tool
from victor.tools.files import whole_file
from victor.tools.hunks import patched
from victor.tools.patches import FileChange, parsed_patch
from victor.tools.paths import PathError, open_beneath, relative, shown
from victor.tools.replace import remove_file, replace_file
from victor.tools.seen import SeenFiles

__all__ = ["PatchPlan", "apply_patch", "planned"]


@tool(effect="edit", timeout_s=60)
def apply_patch(context: ToolContext, patch: str) -> str:
    """Add, change, move and remove files by one patch; if a part of it fails, nothing is changed.

    Args:
        context: the workspace.
        patch: Either "*** Begin Patch", for each file "*** Add File: path" (every line with +),
            "*** Update File: path" (optionally "*** Move to: path"; then hunks: "@@" and a line
            above the place, then lines that begin with a space, - or +) or
            "*** Delete File: path", and "*** End Patch"; or a unified diff.
    """
    plan = planned(context, patch)
    plan.carry_out()
    return "\n".join(plan.summary)


def planned(context: ToolContext, patch: str) -> PatchPlan:
    """Return what a patch would make of the files.

    Args:
        context: the workspace, and what the conversation has seen of it.
        patch: as for `apply_patch`.

    Raises:
        VictorError: the patch cannot be read, or a part of it does not fit; the message says which.
    """
    plan = PatchPlan(context)
    for change in parsed_patch(patch):
        try:
            plan.add(change)
        except VictorError as error:
            raise ToolError(f"{shown(change.path)}: {error}\nNothing was changed.") from error
    return plan


@dataclass(slots=True)
class PatchPlan:
    """What a patch makes of the files; read first, then carried out."""

    context: ToolContext
    summary: list[str] = field(default_factory=list)
    before: dict[str, bytes | None] = field(default_factory=dict)
    after: dict[str, bytes | None] = field(default_factory=dict)
    """The content of every file the patch names, by its path in the workspace; None where there is
    none."""
    moved: dict[str, str] = field(default_factory=dict)
    """Where a file that gets another name was before."""
    _modes: dict[str, int] = field(default_factory=dict)

    def add(self, change: FileChange) -> None:
        """Plan one change.

        Raises:
            VictorError: it cannot be made; the message says why.
        """
        path = relative(self.context.workspace, change.path)
        match change.kind:
            case "add":
                self._must_be_new(path)
                content, _ = patched(b"", change.hunks)
                self.after[path] = content
                self.summary.append(f"Created {shown(path)}.")
            case "delete":
                content = self._existing(path)
                patched(content, change.hunks)  # a diff says what it removes
                self.after[path] = None
                self.summary.append(f"Removed {shown(path)}.")
            case "update":
                self._update(path, change)

    def _update(self, path: str, change: FileChange) -> None:
        content, notes = patched(self._existing(path), change.hunks)
        said = f"Edited {shown(path)}"
        if change.move_to is not None:
            target = relative(self.context.workspace, change.move_to)
            if target != path:
                self._must_be_new(target)
                self._modes[target] = self._mode(path)
                self.moved[target] = path
                self.after[path] = None
                said = f"Moved {shown(path)} to {shown(target)}"
            path = target
        self.after[path] = content
        self.summary.append(f"{said}.{' Note: ' + '; '.join(notes) + '.' if notes else ''}")

    def _existing(self, path: str) -> bytes:
        content = self._content(path)
        if content is None:
            raise ToolError("the patch itself has removed the file before")
        return content

    def _must_be_new(self, path: str) -> None:
        try:
            content = self._content(path)
        except PathError:
            self.before[path] = None
            return
        if content is not None:
            raise ToolError(f"{shown(path)} is there already; update it, or choose another name")

    def _content(self, path: str) -> bytes | None:
        if path not in self.after:
            content = whole_file(self.context.workspace, path)
            self.context.memory.of(SeenFiles).check(self.context.workspace, path, content)
            self.before[path] = self.after[path] = content
        return self.after[path]

    def _mode(self, path: str) -> int:
        import os

        if path in self._modes:
            return self._modes[path]
        with contextlib.suppress(PathError):
            descriptor = open_beneath(self.context.workspace, path)
            try:
                return os.fstat(descriptor).st_mode & 0o777
            finally:
                os.close(descriptor)
        return 0o644

    def carry_out(self) -> None:
        """Write everything; where that fails, put back what was written.

        Raises:
            ToolError: a file could not be written or removed.
        """
        # What is removed comes last: until then every old content is still somewhere.
        changes = sorted(self.after.items(), key=lambda item: item[1] is None)
        done: list[str] = []
        for path, content in changes:
            if content == self.before.get(path):
                continue
            try:
                self._put(path, content)
            except (VictorError, OSError) as error:
                self._undo(done)
                raise ToolError(f"{error}\nNothing was changed.") from error
            done.append(path)
        seen = self.context.memory.of(SeenFiles)
        for path, content in changes:
            seen.remember(self.context.workspace, path, content)

    def _put(self, path: str, content: bytes | None) -> None:
        workspace = self.context.workspace
        if content is None:
            self._modes[path] = remove_file(workspace, path)
        else:
            replace_file(workspace, path, content, mode=self._modes.get(path))

    def _undo(self, done: list[str]) -> None:
        for path in reversed(done):
            try:
                self._put(path, self.before.get(path))
            except (VictorError, OSError) as error:
                raise ToolError(
                    f"the patch failed half-way, and {shown(path)} could not be put back: {error}"
                ) from error
