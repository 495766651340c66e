"""A server on loopback that speaks OpenAI's chat protocol well enough to pass every check."""

from __future__ import annotations

from typing import Any

from victor.testing.faults import Answer, FaultServer, Request, json_answer, sse_answer

USAGE = {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}
ARGUMENTS = '{"city": "Paris", "days": 3}'


def chat_server(*, key: str | None = None) -> FaultServer:
    """Serve the model `m`; with a key, refuse all others."""

    def answer(request: Request) -> Answer:
        if key is not None and request.headers.get("authorization") != f"Bearer {key}":
            return json_answer({"error": {"message": "invalid API key"}}, 401)
        if request.path.endswith("/models"):
            return json_answer({"data": [{"id": "m"}]})
        asked = request.json()
        if asked["model"] != "m":
            text = f"The model `{asked['model']}` does not exist"
            return json_answer({"error": {"message": text, "code": "model_not_found"}}, 404)
        if asked.get("stream"):
            return sse_answer([_choice(delta={"content": "ready"}), _choice(delta={}, end="stop")])
        if asked.get("tools") and asked["messages"][-1]["role"] == "user":
            function = {"name": "get_weather", "arguments": ARGUMENTS}
            call = {"id": "c1", "type": "function", "function": function}
            message = {"role": "assistant", "content": None, "tool_calls": [call]}
            return json_answer(_choice(message=message, end="tool_calls"))
        return json_answer(_choice(message={"role": "assistant", "content": "ready"}, end="stop"))

    return FaultServer(answer)


def _choice(end: str | None = None, **what: Any) -> dict[str, Any]:
    choice = {"index": 0, "finish_reason": end, **what}
    return {"id": "x", "model": "m", "choices": [choice], "usage": USAGE if end else None}
