"""Amazon Bedrock's Converse, the request: how the model is to answer.

Spec: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InferenceConfiguration.html
and, for what each family takes in `additionalModelRequestFields`,
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters.html
Knows nothing about messages, tools or HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from victor.providers.options import StandardOptions, leave_out, nearest_effort
from victor.providers.request import ChatRequest
from victor.providers.wires.bedrock.families import Family
from victor.types import JsonObject

__all__ = ["Parameters"]

_THREE = ("low", "medium", "high")
_BUDGETS: Mapping[str, int] = MappingProxyType(
    {"minimal": 1024, "low": 2048, "medium": 8192, "high": 16384, "xhigh": 32768, "max": 32768}
)
"""Tokens of thinking; Claude takes no less than 1,024."""
_LEAST_BUDGET = 1024
_TOP_K: Mapping[str, str] = MappingProxyType(
    {"anthropic": "top_k", "mistral": "top_k", "cohere": "k"}
)


class Parameters:
    """The settings of one request, in the words of the model's family.

    Args:
        request: what is asked.
        options: its options, read.
        family: of the model.
        provider: for warnings.
    """

    def __init__(
        self, request: ChatRequest, options: StandardOptions, family: Family, provider: str
    ) -> None:
        self.written: JsonObject = {}
        """Fields of the request's body."""
        self.notes: tuple[str, ...] = ()
        self._known = request.model_data
        self._options = options
        self._family = family.name
        if self._known.thinking in ("adaptive", "budget"):
            self._family = "anthropic"  # behind an inference profile
        self._provider = provider
        self._more: JsonObject = {}
        self._most = _least(request.max_tokens, self._known.max_output_tokens)
        self._samples = self._known.sampling is not False
        if options.reasoning_effort is not None:
            self._add_effort(options.reasoning_effort, can=family.reasons)
        inference = self._inference(request.temperature)
        if options.parallel_tool_calls is False and family.takes_one_call and request.tools:
            # The type stands in toolChoice already, if there is a choice.
            choice: JsonObject = {} if options.tool_choice == "required" else {"type": "auto"}
            self._more["tool_choice"] = {**choice, "disable_parallel_tool_use": True}
        elif options.parallel_tool_calls is False and request.tools:
            leave_out(provider, parallel_tool_calls=False)
        leave_out(
            provider,
            seed=options.seed,
            frequency_penalty=options.frequency_penalty,
            presence_penalty=options.presence_penalty,
        )
        if inference:
            self.written["inferenceConfig"] = inference
        if self._more:
            self.written["additionalModelRequestFields"] = self._more

    def _inference(self, temperature: float | None) -> JsonObject:
        options = self._options
        found: JsonObject = {}
        if self._most is not None:
            found["maxTokens"] = self._most
        if self._samples:
            if options.top_p is not None:
                found["topP"] = options.top_p
            # Newer models of Anthropic take one of the two; everybody sends a temperature.
            if temperature is not None and not (self._family == "anthropic" and "topP" in found):
                found["temperature"] = min(temperature, 1.0)
            if options.top_k is not None:
                self._add_top_k(options.top_k)
        if options.stop:
            found["stopSequences"] = list(options.stop)
        return found

    def _add_top_k(self, top_k: int) -> None:
        if self._family == "nova":
            self._more["inferenceConfig"] = {"topK": top_k}
        elif self._family in _TOP_K:
            self._more[_TOP_K[self._family]] = top_k
        else:
            leave_out(self._provider, top_k=top_k)

    def _add_effort(self, effort: str, *, can: bool) -> None:
        known = self._known
        can = (can or self._family == "anthropic") and known.reasoning is not False
        if can and self._family == "anthropic":
            self._add_thinking(effort)
        elif can and self._family == "nova":
            self._add_reasoning_config(effort)
        elif can and self._family == "openai":
            self._more["reasoning_effort"] = nearest_effort(effort, known.efforts or _THREE)
        elif can and self._family == "qwen":
            if effort != "none":
                self._more["reasoning_config"] = nearest_effort(effort, known.efforts or _THREE)
        elif effort != "none":
            leave_out(self._provider, reasoning_effort=effort)

    def _add_thinking(self, effort: str) -> None:
        """Let Claude think: https://docs.anthropic.com/en/docs/build-with-claude/extended-thinking."""
        known = self._known
        if effort == "none":
            if known.thinking and "none" in (known.efforts or ("none",)):
                self._more["thinking"] = {"type": "disabled"}
            return
        if self._options.tool_choice == "required":
            self.notes = ("Claude cannot think when it has to call a tool: it does not think.",)
            return
        self._samples = False
        if known.thinking == "adaptive":
            chosen = nearest_effort(effort, known.efforts or _THREE)
            self._more |= {"thinking": {"type": "adaptive"}, "output_config": {"effort": chosen}}
            return
        budget = _BUDGETS.get(effort, _BUDGETS["high"])
        if self._most is not None:
            # The thinking counts as answer: what was asked for the text stays for the text.
            text, self._most = self._most, _least(self._most + budget, known.max_output_tokens)
            budget = max((self._most or 0) - text, _LEAST_BUDGET)
        self._more["thinking"] = {"type": "enabled", "budget_tokens": budget}

    def _add_reasoning_config(self, effort: str) -> None:
        """Let Nova 2 reason: https://docs.aws.amazon.com/nova/latest/nova2-userguide/."""
        if effort == "none":
            self._more["reasoningConfig"] = {"type": "disabled"}
            return
        chosen = nearest_effort(effort, self._known.efforts or _THREE)
        self._more["reasoningConfig"] = {"type": "enabled", "maxReasoningEffort": chosen}
        if chosen == "high":
            # With the highest effort it refuses all of these.
            self._samples, self._most = False, None


def _least(*numbers: int | None) -> int | None:
    return min((number for number in numbers if number is not None), default=None)
