from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.providers.loopback import CHAT, HI, ROW, connect
from victor.config.catalog import VENDORS, Vendor
from victor.config.model_capabilities import ModelData, ModelRow
from victor.errors import UnsupportedFeatureError
from victor.testing.faults import Answer, FaultServer, Request, json_answer

SHOW = {
    "model_info": {"llama.context_length": 8192},
    "capabilities": ["completion", "vision"],
}
LISTED = {"data": [{"id": "m", "context_length": 5000}, {"id": "other", "context_length": 7}]}
PROPS = {"default_generation_settings": {"n_ctx": 4096}}
LLAMACPP = VENDORS["llamacpp"]


def _by_path(**answers: object) -> Any:
    def answer(request: Request) -> Answer:
        found = answers.get(request.path.rpartition("/")[2])
        return json_answer({"error": "no"}, 404) if found is None else json_answer(found)

    return answer


@pytest.mark.parametrize(
    ("vendor", "answers", "window", "paths"),
    [
        pytest.param(ROW, {"models": LISTED}, 5000, ["/v1/models"], id="a listing"),
        pytest.param(
            LLAMACPP,
            {"models": LISTED, "props": PROPS},
            4096,
            ["/v1/models", "/props"],
            id="llama.cpp",
        ),
        pytest.param(VENDORS["ollama"], {"show": SHOW}, 8192, ["/api/show"], id="ollama"),
        pytest.param(ROW, {}, None, ["/v1/models"], id="nothing"),
        pytest.param(VENDORS["anthropic"], {}, None, [], id="not asked"),
    ],
)
async def test_an_endpoint_is_asked_in_its_own_way_and_once(
    vendor: Vendor, answers: dict[str, object], window: int | None, paths: list[str]
) -> None:
    async with FaultServer(_by_path(**answers)) as server:
        suffix = "/v1" if vendor.wire == "openai-chat" else ""
        async with connect(f"{server.url}{suffix}", vendor) as provider:
            for _ in range(2):
                found = await provider.discover_capabilities("m")
                assert found.context_window == window
                assert found.source == ("default" if window is None else "endpoint")
        assert [request.path for request in server.requests] == paths


async def test_what_an_endpoint_says_counts_in_later_calls() -> None:
    listed = {"data": [{"id": "m", "supported_parameters": ["max_tokens"]}]}
    answers = [json_answer(listed), CHAT]
    async with FaultServer(answers) as server, connect(server) as provider:
        found = await provider.discover_capabilities("m")
        assert found.tool_mode == "constrained"
        await provider.chat(HI, model="m", temperature=0.5)
        assert "temperature" not in server.requests[1].json()


async def test_what_the_user_knows_about_a_model_wins() -> None:
    rows = [ModelRow("m*", ModelData(max_tokens_name="max_completion_tokens", sampling=False))]
    async with FaultServer([CHAT]) as server, connect(server, models=rows) as provider:
        await provider.chat(HI, model="m1", max_tokens=7)
        body = server.requests[0].json()
        assert body["max_completion_tokens"] == 7
        assert "temperature" not in body


async def test_a_protocol_without_a_list_says_so() -> None:
    vendor = replace(VENDORS["bedrock"], auth="bearer")
    async with FaultServer([CHAT]) as server, connect(server, vendor) as provider:
        with pytest.raises(UnsupportedFeatureError, match="cannot list its models"):
            await provider.list_models()
        assert server.requests == []
