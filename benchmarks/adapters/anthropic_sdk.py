"""victor over Anthropic Messages, for the harness's place of Anthropic's own SDK.

The file's name is the harness's: a peer is found by it. Knows nothing about how it is measured.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

# isort: off
from _common import KEY, add, main  # type: ignore[import-not-found] # of the harness; finds the next
import wire  # type: ignore[import-not-found]
# isort: on

from victor import Agent, Message, create_provider, tool


class Peer:
    """What the harness calls; its address ends with the API's version, victor's does not."""

    def __init__(self, base_url: str) -> None:
        address = base_url.removesuffix("/v1")
        self.provider = create_provider("anthropic", api_key=KEY, base_url=address)
        self.messages = [
            Message(role="system", content=wire.SYSTEM),
            Message(role="user", content=wire.PROMPT),
        ]
        self.tool = tool(add)

    async def call(self, model: str) -> str:
        return (await self.provider.chat(self.messages, model=model)).content

    async def stream(self, model: str) -> AsyncIterator[str]:
        async for chunk in self.provider.stream(self.messages, model=model):
            if chunk.content:
                yield chunk.content

    async def agent(self, model: str, turns: int) -> str:
        agent = Agent(
            self.provider,
            model=model,
            tools=[self.tool],
            system=wire.SYSTEM,
            max_turns=turns + 5,
        )
        return (await agent.run(wire.PROMPT)).content

    async def close(self) -> None:
        await self.provider.close()


if __name__ == "__main__":
    main(Peer)
