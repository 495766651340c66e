"""Consent to commands that nothing confines: every one needs it, but nobody is asked twice.

Knows nothing about how it is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from victor.agent.permissions import Permissions
    from victor.cli.approve import Approver
    from victor.tools.base import Tool, ToolContext
    from victor.types import ToolCall

__all__ = ["AskedOnce"]


class AskedOnce:
    """Has every command agreed to that nothing confines, whatever the mode, but not twice.

    Args:
        approve: asks.
        permissions: know what was allowed for good.
    """

    def __init__(self, approve: Approver, permissions: Permissions) -> None:
        self._approve = approve
        self._permissions = permissions
        self._agreed: set[str] = set()

    async def approve(self, call: ToolCall, tool: Tool) -> bool | str:
        """Ask as the agent wants it, and remember which call was agreed to."""
        answer = await self._approve(call, tool)
        if answer is True:
            self._agreed.add(_key(call.id, call.arguments.get("command")))
        return answer

    async def consent(self, command: str, context: ToolContext) -> bool:
        """Tell whether a command may run without a sandbox."""
        from victor.tools.shell import shell
        from victor.types import ToolCall

        if (key := _key(context.call_id, command)) in self._agreed:
            self._agreed.remove(key)
            return True
        if self._permissions.is_granted(f"shell(={command})"):
            return True
        call = ToolCall(id=context.call_id, name=shell.name, arguments={"command": command})
        return await self._approve(call, shell) is True


def _key(call_id: str, command: object) -> str:
    return f"{call_id}\0{command}"
