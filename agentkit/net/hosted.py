"""The list of hosted APIs: services that parse their models' tool calls and treat special tokens in text as text.

Any other address may be a self-hosted server that applies a chat template: there, tool calls may be left in the text,
and special tokens in untrusted text would be interpreted as control tokens (docs/backends.md).
"""

import functools
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

_DOMAINS = (
    *("openai.com", "openai.azure.com", "cognitiveservices.azure.com", "services.ai.azure.com", "ai.azure.com"),
    *("inference.ai.azure.com", "models.ai.azure.com", "api.githubcopilot.com", "models.github.ai"),
    *("anthropic.com", "generativelanguage.googleapis.com", "aiplatform.googleapis.com", "amazonaws.com", "x.ai"),
    *("mistral.ai", "cohere.ai", "cohere.com", "ai21.com", "perplexity.ai", "groq.com", "cerebras.ai", "sambanova.ai"),
    *("openrouter.ai", "together.xyz", "together.ai", "fireworks.ai", "deepinfra.com", "novita.ai", "hyperbolic.xyz"),
    *("router.huggingface.co", "api-inference.huggingface.co", "integrate.api.nvidia.com", "replicate.com"),
    *("baseten.co", "lambda.ai", "lambdalabs.com", "lepton.ai", "anyscale.com", "octoai.cloud", "nebius.com"),
    *(
        "nebius.ai",
        "friendli.ai",
        "featherless.ai",
        "chutes.ai",
        "venice.ai",
        "poe.com",
        "inference.net",
        "parasail.io",
    ),
    *("ai-gateway.vercel.sh", "gateway.ai.cloudflare.com", "api.cloudflare.com", "upstage.ai", "writer.com", "reka.ai"),
    *(
        "deepseek.com",
        "moonshot.cn",
        "moonshot.ai",
        "kimi.com",
        "bigmodel.cn",
        "z.ai",
        "minimax.chat",
        "minimax.io",
        "minimaxi.com",
    ),
    *(
        "aliyuncs.com",
        "volces.com",
        "bytepluses.com",
        "siliconflow.cn",
        "siliconflow.com",
        "stepfun.com",
        "baidubce.com",
    ),
    *("tencentcloudapi.com", "hunyuan.cloud.tencent.com", "lingyiwanwu.com", "baichuan-ai.com", "xf-yun.com"),
    *("modelscope.cn", "scaleway.ai", "ai.cloud.ovh.net", "databricks.com", "watsonx.ai", "cloud.ibm.com", "vlm.run"),
    *("ollama.com", "inceptionlabs.ai", "liquid.ai", "arcee.ai", "nscale.com", "gmi-serving.com", "crusoe.ai"),
)


class HostedAPI(NamedTuple):
    """Where a hosted API with OpenAI's protocol is. url: its base URL. key: the environment variable of its key, which
    is NAME_API_KEY for the provider's name, as keys are stored."""

    url: str
    key: str


SHORT_NAMES: Mapping[str, HostedAPI] = {
    "openrouter": HostedAPI("https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    "groq": HostedAPI("https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    "deepseek": HostedAPI("https://api.deepseek.com", "DEEPSEEK_API_KEY"),
    "mistral": HostedAPI("https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    "together": HostedAPI("https://api.together.ai/v1", "TOGETHER_API_KEY"),
    "gemini": HostedAPI("https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY"),
}
"""The providers with a short name, as in "groq:llama-3.3-70b-versatile"."""


@functools.lru_cache(256)
def is_hosted(base_url: str | None) -> bool:
    """Whether a base URL is that of a hosted API; None means OpenAI's."""
    if base_url is None:
        return True
    host = (urlsplit(base_url).hostname or "").rstrip(".").lower()
    return any(host == domain or host.endswith(f".{domain}") for domain in _DOMAINS)
