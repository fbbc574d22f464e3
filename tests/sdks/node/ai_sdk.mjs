// The package ai with its two providers of OpenAI's API: @ai-sdk/openai-compatible, and @ai-sdk/openai, which speaks
// chat completions (`.chat()`) and, by default, the Responses API.
import {
  Output,
  ToolLoopAgent,
  embedMany,
  generateObject,
  generateText,
  isStepCount,
  streamObject,
  streamText,
  tool,
} from "ai";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { QUESTION, browserFetch, person, refusal, row, versionOf, weather, weatherArguments } from "./abilities.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false;
console.error = () => {}; // what goes wrong in a stream is printed too, unless each stream has a callback

const described = { description: "Get the weather.", inputSchema: weatherArguments };
const ASKED_ONLY = { get_weather: tool(described) };
const TOOLS = { get_weather: tool({ ...described, execute: weather }) };
const OTHER = tool({ description: "Get the time.", inputSchema: weatherArguments });

const stepsOf = (steps) =>
  steps.map(({ text, finishReason, toolCalls, toolResults }) => ({
    text,
    finishReason,
    calls: toolCalls.map(({ toolName, input }) => [toolName, input]),
    results: toolResults.map(({ output }) => output),
  }));

async function generated(options) {
  const result = await generateText({ maxRetries: 0, ...options });
  return { text: result.text, finishReason: result.finishReason, steps: stepsOf(result.steps) };
}

// Streams tell errors in the stream.
async function read(result) {
  let text = "";
  let reasoning = "";
  for await (const part of result.stream) {
    if (part.type === "text-delta") text += part.text;
    if (part.type === "reasoning-delta") reasoning += part.text;
    if (part.type === "error") throw part.error;
  }
  return { text, reasoning, finishReason: await result.finishReason, steps: stepsOf(await result.steps) };
}

const streamed = (options) => read(streamText({ maxRetries: 0, ...options }));

async function toolResult(model) {
  const first = await generateText({ model, prompt: QUESTION, tools: ASKED_ONLY, maxRetries: 0 });
  const [{ toolCallId, toolName }] = first.toolCalls;
  const output = { type: "text", value: "It is sunny in Paris." };
  const result = { role: "tool", content: [{ type: "tool-result", toolCallId, toolName, output }] };
  const messages = [{ role: "user", content: QUESTION }, ...first.response.messages, result];
  return generated({ model, messages, tools: ASKED_ONLY });
}

async function objectStream(model) {
  const stream = streamObject({ model, schema: person, prompt: "Hello", maxRetries: 0 });
  for await (const part of stream.fullStream) if (part.type === "error") throw part.error;
  return { object: await stream.object };
}

// usage of a stream: [input, output, total]
async function streamUsage(model) {
  const stream = streamText({ model, prompt: "Hello", maxRetries: 0 });
  await stream.consumeStream();
  const { inputTokens, outputTokens, totalTokens } = await stream.usage;
  return { usage: [inputTokens, outputTokens, totalTokens] };
}

async function stoppedStream(model) {
  const stopping = new AbortController();
  const { stream } = streamText({ model, prompt: "Hello", maxRetries: 0, abortSignal: stopping.signal });
  const types = new Set();
  for await (const { type } of stream) {
    types.add(type);
    if (type === "start-step") stopping.abort();
  }
  return { aborted: types.has("abort"), failed: types.has("error") };
}

const LONG = "long ".repeat(4000);
const agent = (model) => new ToolLoopAgent({ model, tools: TOOLS, instructions: "Be brief.", maxRetries: 0 });

async function agentLoop(model) {
  const { text, steps } = await agent(model).generate({ prompt: QUESTION });
  return { text, steps: stepsOf(steps) };
}

// The abilities of a provider. of: makes its model, given {baseURL, model}.
const abilitiesOf = (of, more = {}) => {
  const abilities = {
    chat: (model) => generated({ model, instructions: "Be brief.", prompt: "Hello" }),
    "streamed chat": (model) => streamed({ model, prompt: "Hello" }),
    "tool call": (model) => generated({ model, prompt: QUESTION, tools: ASKED_ONLY }),
    "streamed tool call": (model) => streamed({ model, prompt: QUESTION, tools: ASKED_ONLY }),
    "tool result": toolResult,
    "tool_choice none": (model) => generated({ model, prompt: QUESTION, tools: TOOLS, toolChoice: "none" }),
    "tool_choice required": (model) =>
      generated({ model, prompt: QUESTION, tools: ASKED_ONLY, toolChoice: "required" }),
    "tool_choice of a function": (model) => {
      const toolChoice = { type: "tool", toolName: "get_time" };
      return generated({ model, prompt: QUESTION, tools: { ...ASKED_ONLY, get_time: OTHER }, toolChoice });
    },
    "agent loop": agentLoop,
    "streamed agent loop": async (model) => read(await agent(model).stream({ prompt: QUESTION })),
    "tool call beside the service's tools": (model) => generated({ model, prompt: QUESTION, tools: ASKED_ONLY }),
    "agent loop beside the service's tools": agentLoop,
    "structured output": async (model) => {
      const output = Output.object({ schema: person });
      return { output: (await generateText({ model, prompt: "Hello", output, maxRetries: 0 })).output };
    },
    "streamed structured output": async (model) => {
      const output = Output.array({ element: person });
      const stream = streamText({ model, prompt: "Hello", output, maxRetries: 0 });
      await stream.consumeStream();
      return { output: await stream.output };
    },
    "structured output with tools": async (model) => {
      const output = Output.object({ schema: person });
      const options = { model, prompt: QUESTION, tools: TOOLS, output, stopWhen: isStepCount(4), maxRetries: 0 };
      const result = await generateText(options);
      return { output: result.output, steps: stepsOf(result.steps) };
    },
    generateObject: async (model) => {
      return { object: (await generateObject({ model, schema: person, prompt: "Hello", maxRetries: 0 })).object };
    },
    streamObject: objectStream,
    "json mode": async (model) => {
      return { output: (await generateText({ model, prompt: "Hello", output: Output.json(), maxRetries: 0 })).output };
    },
    "usage in streams": streamUsage,
    "error of a bad request": (model) => refusal(() => generated({ model, prompt: LONG })),
    "streamed error of a bad request": (model) => refusal(() => streamed({ model, prompt: LONG })),
    "stopped stream": stoppedStream,
    reasoning: async (model) => {
      const { text, reasoningText } = await generateText({ model, prompt: "Hello", maxRetries: 0 });
      return { text, reasoning: reasoningText ?? "" };
    },
    "streamed reasoning": (model) => streamed({ model, prompt: "Hello" }),
    ...more,
  };
  return Object.fromEntries(Object.entries(abilities).map(([name, ability]) => [name, (side) => ability(of(side))]));
};

const openai = ({ baseURL }, more = {}) => createOpenAI({ baseURL, apiKey: "none", ...more });
const compatible = ({ baseURL }, more = {}) =>
  createOpenAICompatible({ name: "agentkit", baseURL, includeUsage: true, supportsStructuredOutputs: true, ...more });
const inBrowser = { fetch: browserFetch };

const embedded = async (model) => {
  const { embeddings } = await embedMany({ model, values: ["Hello", "Bye"], maxRetries: 0 });
  return { vectors: embeddings.map((vector) => vector.map((value) => value.toFixed(4))) };
};
const completed = (model) => generated({ model, prompt: "Hello", maxOutputTokens: 8 });
const streamCompleted = (model) => streamed({ model, prompt: "Hello", maxOutputTokens: 8 });

// Response ids and references to items of stored responses are the default of the Responses provider.
const followUp = async (model) => {
  const first = await generateText({ model, prompt: "Hello", maxRetries: 0 });
  const previousResponseId = first.providerMetadata.openai.responseId;
  return generated({ model, prompt: "And now?", providerOptions: { openai: { previousResponseId } } });
};
const notStored = { providerOptions: { openai: { store: false } } };

const rows = [
  await row(
    "Vercel AI SDK (@ai-sdk/openai-compatible)",
    `${versionOf("ai")} (${versionOf("@ai-sdk/openai-compatible")})`,
    {
      ...abilitiesOf((side) => compatible(side)(side.model)),
      "from a browser": (side) => streamed({ model: compatible(side, inBrowser)(side.model), prompt: "Hello" }),
      completions: (side) => completed(compatible(side).completionModel(side.model)),
      "streamed completions": (side) => streamCompleted(compatible(side).completionModel(side.model)),
      embeddings: (side) => embedded(compatible(side).embeddingModel(side.model)),
    },
  ),
  await row("Vercel AI SDK (@ai-sdk/openai, chat)", `${versionOf("ai")} (${versionOf("@ai-sdk/openai")})`, {
    ...abilitiesOf((side) => openai(side).chat(side.model)),
    "from a browser": (side) => streamed({ model: openai(side, inBrowser).chat(side.model), prompt: "Hello" }),
    completions: (side) => completed(openai(side).completion(side.model)),
    "streamed completions": (side) => streamCompleted(openai(side).completion(side.model)),
    embeddings: (side) => embedded(openai(side).embedding(side.model)),
  }),
  await row("Vercel AI SDK (@ai-sdk/openai, responses)", `${versionOf("ai")} (${versionOf("@ai-sdk/openai")})`, {
    ...abilitiesOf((side) => openai(side)(side.model), {
      "agent loop without store": (model) =>
        generated({ model, prompt: QUESTION, tools: TOOLS, stopWhen: isStepCount(4), ...notStored }),
      previous_response_id: followUp,
    }),
  }),
];
console.log(JSON.stringify(rows));
