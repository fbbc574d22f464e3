"""All names that are sent: of spans, attributes, metrics and their values.

They are those of OpenTelemetry's semantic conventions for generative AI, version CONVENTION, in the repository
open-telemetry/semantic-conventions-genai; other names are marked with where they come from.
"""

from typing import Final

CONVENTION: Final = "semantic-conventions-genai v0.1.0"

# Values of gen_ai.operation.name; a span is called "{operation} {model, tool or agent}".
INVOKE_AGENT: Final = "invoke_agent"
CHAT: Final = "chat"
EXECUTE_TOOL: Final = "execute_tool"

# Attributes of all spans and metrics
OPERATION_NAME: Final = "gen_ai.operation.name"
ERROR_TYPE: Final = "error.type"
CONVERSATION_ID: Final = "gen_ai.conversation.id"

# Attributes of requests
PROVIDER_NAME: Final = "gen_ai.provider.name"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_STREAM: Final = "gen_ai.request.stream"
REQUEST_CHOICES: Final = "gen_ai.request.choice.count"
REQUEST_REASONING: Final = "gen_ai.request.reasoning.level"
REQUEST_STOP: Final = "gen_ai.request.stop_sequences"
OUTPUT_TYPE: Final = "gen_ai.output.type"

INT_PARAMETERS: Final = {
    "max_tokens": "gen_ai.request.max_tokens",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "max_new_tokens": "gen_ai.request.max_tokens",
    "top_k": "gen_ai.request.top_k",
    "seed": "gen_ai.request.seed",
    "n": REQUEST_CHOICES,
}
FLOAT_PARAMETERS: Final = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
}
"""The attributes of the fields of a request's sampling."""

# Attributes of replies
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_ID: Final = "gen_ai.response.id"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
CACHED_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"

# Attributes of agents
AGENT_NAME: Final = "gen_ai.agent.name"
# The sums of a run have names of their own, as Pydantic AI has them: viewers that add `gen_ai.usage.*` up along the
# tree would count twice.
AGGREGATED_INPUT_TOKENS: Final = "gen_ai.aggregated_usage.input_tokens"
AGGREGATED_OUTPUT_TOKENS: Final = "gen_ai.aggregated_usage.output_tokens"
AGGREGATED_CACHED_TOKENS: Final = "gen_ai.aggregated_usage.cache_read.input_tokens"
AGGREGATED_REASONING_TOKENS: Final = "gen_ai.aggregated_usage.reasoning.output_tokens"

# Attributes of tool calls
TOOL_NAME: Final = "gen_ai.tool.name"
TOOL_TYPE: Final = "gen_ai.tool.type"
TOOL_CALL_ID: Final = "gen_ai.tool.call.id"
FUNCTION: Final = "function"

# Content, only when it is asked for
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"
TOOL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
TOOL_RESULT: Final = "gen_ai.tool.call.result"
TOOL_DESCRIPTION: Final = "gen_ai.tool.description"
TOOL_DEFINITIONS: Final = "gen_ai.tool.definitions"
CAPTURE_CONTENT: Final = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
"""The environment variable with which all instrumentations of generative AI are told to send content."""
SDK_DISABLED: Final = "OTEL_SDK_DISABLED"
"""The environment variable that turns OpenTelemetry off."""

# agentkit's own
STOPPED: Final = "agentkit.stopped"
"""What ended a run, a request or a tool call: `result.stopped`; "closed" where the reader walked away."""
COST: Final = "agentkit.cost"
"""The cost of a request, in the currency of the server or of the prices."""
MESSAGES_LEFT_OUT: Final = "agentkit.messages.left_out"
"""How many of the first messages are not in `gen_ai.input.messages`, which has a maximum size."""

# Metrics. Those of requests have the names of semantic-conventions v1.41, which dashboards and OpenTelemetry's own
# instrumentations (opentelemetry-util-genai 1.3) use; v0.1.0 calls them gen_ai.client.inference.duration,
# gen_ai.client.inference.time_to_first_chunk and gen_ai.client.inference.operation.{input,output}_tokens.
OPERATION_DURATION: Final = "gen_ai.client.operation.duration"
OPERATION_FIRST_CHUNK: Final = "gen_ai.client.operation.time_to_first_chunk"
TOKEN_USAGE: Final = "gen_ai.client.token.usage"
TOKEN_TYPE: Final = "gen_ai.token.type"
INPUT: Final = "input"
OUTPUT: Final = "output"
TOOL_DURATION: Final = "gen_ai.execute_tool.duration"
AGENT_DURATION: Final = "gen_ai.invoke_agent.duration"
UNKNOWN: Final = "unknown"

SECONDS: Final = "s"
TOKENS: Final = "{token}"
CALL_BUCKETS: Final = tuple(0.01 * 2**power for power in range(14))
AGENT_BUCKETS: Final = tuple(0.1 * 2**power for power in range(13))
TOKEN_BUCKETS: Final = tuple(4**power for power in range(14))

PROVIDERS: Final = {
    "openai.com": "openai",
    "openai.azure.com": "azure.ai.openai",
    "cognitiveservices.azure.com": "azure.ai.openai",
    "services.ai.azure.com": "azure.ai.inference",
    "models.ai.azure.com": "azure.ai.inference",
    "anthropic.com": "anthropic",
    "amazonaws.com": "aws.bedrock",
    "generativelanguage.googleapis.com": "gcp.gemini",
    "aiplatform.googleapis.com": "gcp.vertex_ai",
    "cohere.com": "cohere",
    "cohere.ai": "cohere",
    "deepseek.com": "deepseek",
    "groq.com": "groq",
    "cloud.ibm.com": "ibm.watsonx.ai",
    "mistral.ai": "mistral_ai",
    "moonshot.ai": "moonshot_ai",
    "moonshot.cn": "moonshot_ai",
    "perplexity.ai": "perplexity",
    "x.ai": "x_ai",
}
"""The values of gen_ai.provider.name by the domain of the server. Another server is named after its protocol: "openai"
for what is compatible with OpenAI's."""
