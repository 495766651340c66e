"""One MCP server: connected when it is needed, again when it was lost, behind a circuit breaker.

A task of its own holds the connection, as the package's contexts have to be left where they were
entered. A call that may have reached the server is never made twice. Knows transports by their
contract alone, and nothing about tools' names or permissions.
Spec: https://modelcontextprotocol.io/specification/2025-11-25/basic/lifecycle
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from victor.errors import CircuitOpenError, ConfigError, ProviderTimeoutError, VictorError
from victor.resilience.breaker import CircuitBreaker
from victor.resilience.breaker_policy import BreakerPolicy
from victor.resilience.pipeline import Deadlines, Pipeline
from victor.resilience.retry import RetryPolicy
from victor.tools.mcp_pins import McpDefinition

if TYPE_CHECKING:
    from mcp.client import Client
    from mcp_types import CallToolResult

__all__ = ["McpConnection", "McpFailure", "Transport"]

_T = TypeVar("_T")

_CONNECT_S = 30.0
_ALIVE_S = 5.0
"""How soon a server has to answer at all after a call that took too long."""
_GOODBYE_S = 5.0
_MOST_PAGES = 100
_MOST_TOOLS = 1_000
_MOST_SCHEMA = 100_000
_BREAKER = BreakerPolicy(consecutive_failures=3, base_open_s=1.0, max_open_s=60.0)


class McpFailure(VictorError):  # noqa: N818 - what a model reads is no error of the program
    """A server could not be asked, or refused; the text is for the model and for the user."""


class Transport(Protocol):
    """How bytes get to a server and back."""

    @property
    def alive(self) -> bool:
        """Whether what is opened can still carry a message."""
        ...

    @property
    def unheard(self) -> bool:
        """Whether the last message was turned away without being looked at."""
        ...

    @property
    def trouble(self) -> str:
        """What is known about why the connection ended."""
        ...

    def open(self) -> AbstractAsyncContextManager[Any]:
        """Give the two streams of the server's messages; may be called again afterwards."""
        ...


class McpConnection:
    """The connection to one server.

    Args:
        name: the server's name in the settings.
        transport: reaches it.
        timeout_s: of one call, connecting included.
        listed: told the server's tools whenever they have been asked for.
        breaker: when the server is left alone for a while after failures.
    """

    def __init__(
        self,
        name: str,
        transport: Transport,
        *,
        timeout_s: float = 60.0,
        listed: Callable[[list[McpDefinition]], object] = lambda _: None,
        breaker: BreakerPolicy = _BREAKER,
    ) -> None:
        self.name = name
        self._transport = transport
        self._timeout_s = timeout_s
        self._listed = listed
        self._link: _Link | None = None
        self._lock = asyncio.Lock()
        self._suspect = False
        self.starts = 0
        """How often a connection was begun."""
        # Whether an attempt may be made again is decided here: only what was never heard may.
        self._pipeline = Pipeline(
            f"MCP server {name}",
            owner=name,
            breaker=CircuitBreaker(f"MCP server {name}", breaker, owner=name),
            retry=RetryPolicy(max_retries=0),
            deadlines=Deadlines(call_s=timeout_s),
        )

    async def tools(self) -> None:
        """Have the server list its tools, to whoever is told of them.

        Raises:
            McpFailure: it cannot be reached.
            ConfigError: the user has to set something.
        """

        async def nothing(_: Client) -> None:
            return None

        await self._guarded(nothing)

    async def call(
        self,
        tool: str,
        arguments: dict[str, Any],
        *,
        allowed: Callable[[], str | None] = lambda: None,
        report: Callable[[str], None] = lambda _: None,
    ) -> CallToolResult:
        """Call a tool; once, unless the server certainly has not heard of it.

        Args:
            tool: the server's own name for it.
            arguments: as the model gave them.
            allowed: asked once the server's tools are known; returns why the call must not be made.
            report: told what the server says meanwhile.

        Raises:
            McpFailure: the server cannot be reached, took too long or refused the call.
            ConfigError: the user has to set something.
        """

        async def tell(progress: float, total: float | None, message: str | None) -> None:
            share = f"{progress:g}" if total is None else f"{progress:g} of {total:g}"
            report(f"{message[:200]} ({share})" if message else share)

        async def work(client: Client) -> CallToolResult:
            if (reason := allowed()) is not None:
                raise McpFailure(reason)
            return await client.call_tool(tool, arguments, progress_callback=tell)

        return await self._guarded(work)

    async def aclose(self) -> None:
        """End the connection; the next call would begin another one."""
        async with self._lock:
            await self._drop()

    # ------------------------------------------------------------------ one attempt

    async def _guarded(self, work: Callable[[Client], Awaitable[_T]]) -> _T:
        try:
            found = await self._pipeline.call(lambda: self._attempt(work))
        except CircuitOpenError as error:
            raise McpFailure(
                f"the MCP server {self.name} has failed several times and is left alone for now: "
                f"{error}"
            ) from error
        except ProviderTimeoutError as error:
            self._suspect = True
            raise McpFailure(
                f"the MCP server {self.name} did not answer within {self._timeout_s:g} s"
            ) from error
        except ConnectionError as error:
            raise McpFailure(f"the MCP server {self.name} was lost: {error}") from error
        if isinstance(found, McpFailure):
            raise found
        return found

    async def _attempt(self, work: Callable[[Client], Awaitable[_T]]) -> _T | McpFailure:
        """Do the work; a refusal is returned, as the server is well then."""
        from mcp import MCPError
        from mcp_types import CONNECTION_CLOSED
        from pydantic import ValidationError

        for again in (True, False):
            link = await self._linked()
            try:
                return await work(link.client)
            except McpFailure as refused:
                return refused
            except MCPError as error:
                if link.transport.alive and error.code != CONNECTION_CLOSED:
                    return McpFailure(f"the MCP server {self.name} refused: {str(error)[:2_000]}")
                if not (again and link.transport.unheard):
                    raise await self._lost(link) from error
            except (ValidationError, RuntimeError) as error:
                return McpFailure(
                    f"the MCP server {self.name} gave an answer that its own definitions do not "
                    f"allow: {str(error)[:500]}"
                )
            await self._lost(link)
        raise AssertionError("the second round returns or raises")

    async def _lost(self, link: _Link) -> Exception:
        async with self._lock:
            if self._link is link:
                await self._drop()
        return link.why()

    async def _linked(self) -> _Link:
        """Return a link that works, beginning one where there is none.

        Raises:
            ConnectionError: there is none to be had.
            ConfigError: the user has to set something.
        """
        async with self._lock:
            if self._link is not None and (self._link.over or not await self._answers(self._link)):
                await self._drop()
            link = self._link
            if link is None:
                self.starts += 1
                self._suspect = False
                link = self._link = _Link(self.name, self._transport, self._listed)
        await link.ready()
        await link.refresh()
        return link

    async def _answers(self, link: _Link) -> bool:
        """Tell whether a server whose last answer did not come still gives any."""
        if not self._suspect or not link.is_ready:
            return True
        try:
            async with asyncio.timeout(_ALIVE_S):
                await link.list()
        except Exception:  # noqa: BLE001 - whatever it is, the server is begun anew
            return False
        self._suspect = False
        return True

    async def _drop(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            await link.end()


class _Link:
    """One connection from its beginning to its end, in a task of its own."""

    def __init__(
        self,
        name: str,
        transport: Transport,
        listed: Callable[[list[McpDefinition]], object],
    ) -> None:
        self.client: Client
        self.transport = transport
        self._name = name
        self._listed = listed
        self._began = asyncio.Event()
        self._stop = asyncio.Event()
        self._changed = False
        self._error: BaseException | None = None
        self._task = asyncio.create_task(self._run(), name=f"MCP server {name}")

    @property
    def over(self) -> bool:
        return self._task.done() or (self.is_ready and not self.transport.alive)

    @property
    def is_ready(self) -> bool:
        return self._began.is_set()

    async def ready(self) -> None:
        """Wait until the server is connected and its tools are known."""
        waiting = asyncio.create_task(self._began.wait())
        try:
            await asyncio.wait([waiting, self._task], return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if not self.is_ready:
            raise self.why()

    async def refresh(self) -> None:
        """List the tools again where the server has said that they changed."""
        if self._changed:
            self._changed = False
            await self.list()

    async def list(self) -> None:
        self._listed([one async for one in _listing(self.client)])

    async def end(self) -> None:
        self._stop.set()
        if not self.is_ready:
            self._task.cancel()
        # Saying goodbye to a server that is gone may take for ever.
        await asyncio.wait([self._task], timeout=_GOODBYE_S)
        self._task.cancel()
        await asyncio.wait([self._task], timeout=_GOODBYE_S)

    def why(self) -> Exception:
        """Return what ended the connection, as far as it is known."""
        for error in _leaves(self._error):
            if isinstance(error, ConfigError):
                return error
        said = [f"{error}" or type(error).__name__ for error in _leaves(self._error)]
        text = "; ".join(part for part in (self.transport.trouble, *said[:1]) if part)
        return ConnectionError(text[:4_000] or "the connection ended")

    async def _run(self) -> None:
        from importlib.metadata import version

        from mcp.client import Client
        from mcp_types import Implementation

        client = Client(
            self.transport.open(),
            client_info=Implementation(name="victor", version=version("victor")),
            message_handler=self._hear,
            cache=None,
        )
        try:
            async with contextlib.AsyncExitStack() as stack:
                async with asyncio.timeout(_CONNECT_S):
                    self.client = await stack.enter_async_context(client)
                    await self.list()
                watching = asyncio.create_task(self._watch())
                stack.callback(watching.cancel)
                self._began.set()
                await self._stop.wait()
        except TimeoutError:
            self._error = ConnectionError(f"it did not answer within {_CONNECT_S:g} s")
        except asyncio.CancelledError as error:
            self._error = self._error or error
            raise
        except BaseException as error:  # noqa: BLE001 - kept for whoever waits for the connection
            self._error = error

    async def _hear(self, message: object) -> None:
        from mcp_types import ToolListChangedNotification

        if isinstance(message, ToolListChangedNotification):
            self._changed = True

    async def _watch(self) -> None:
        """Ask servers of the newer protocol to say when their tools change."""
        from mcp import MCPError
        from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost

        with contextlib.suppress(ListenNotSupportedError, SubscriptionLost, MCPError, TimeoutError):
            async with self.client.listen(tools_list_changed=True) as events:
                async for _ in events:
                    self._changed = True


async def _listing(client: Client) -> AsyncIterator[McpDefinition]:
    import json

    cursor: str | None = None
    count = 0
    for _ in range(_MOST_PAGES):
        page = await client.list_tools(cursor=cursor)
        for one in page.tools:
            count += 1
            if count > _MOST_TOOLS:
                return
            found = McpDefinition.of(one.name, one.description or one.title or "", one.input_schema)
            if len(json.dumps(found.parameters)) <= _MOST_SCHEMA:
                yield found
        cursor = page.next_cursor
        if cursor is None:
            return


def _leaves(error: BaseException | None) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from _leaves(one)
    elif error is not None and not isinstance(error, asyncio.CancelledError):
        yield error
