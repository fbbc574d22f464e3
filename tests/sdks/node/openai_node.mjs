// The package openai: chat completions, responses, and what else the server has.
import OpenAI from "openai";
import { zodFunction, zodResponseFormat, zodResponsesFunction, zodTextFormat } from "openai/helpers/zod";
import { HELLO, QUESTION, browserFetch, person, refusal, row, versionOf, weather, weatherArguments } from "./abilities.mjs";

const TOOL = zodFunction({ name: "get_weather", parameters: weatherArguments, description: "Get the weather." });
const OTHER = zodFunction({ name: "get_time", parameters: weatherArguments, description: "Get the time." });
const ASKED = [{ role: "user", content: QUESTION }];

const clients = new Map();

function at(baseURL) {
  if (!clients.has(baseURL)) clients.set(baseURL, new OpenAI({ baseURL, apiKey: "none", maxRetries: 0 }));
  return clients.get(baseURL);
}

const textOf = ({ content }) => content || null; // beside a call, llama.cpp says "" where OpenAI says null
const callsOf = (message) => (message.tool_calls ?? []).map(({ function: f }) => [f.name, JSON.parse(f.arguments)]);
const told = ({ finish_reason, message }) => ({ finish_reason, text: textOf(message), calls: callsOf(message) });
const counted = ({ prompt_tokens, completion_tokens, total_tokens }) => [prompt_tokens, completion_tokens, total_tokens];

async function chat({ baseURL, model }, messages, options = {}) {
  const { choices } = await at(baseURL).chat.completions.create({ model, messages, ...options });
  return told(choices[0]);
}

async function streamed({ baseURL, model }, messages, options = {}) {
  const runner = at(baseURL).chat.completions.stream({ model, messages, ...options });
  let text = "";
  runner.on("content", (piece) => (text += piece));
  const { choices } = await runner.finalChatCompletion();
  return { streamed: text, ...told(choices[0]) };
}

// What a run of the SDK's own loop did: the roles, texts and calls of its messages.
const story = (messages) => messages.map((each) => [each.role, textOf(each), callsOf(each)]);

async function loop({ baseURL, model }, options = {}) {
  const runner = at(baseURL).chat.completions.runTools({
    model,
    messages: [...ASKED],
    tools: [zodFunction({ name: "get_weather", parameters: weatherArguments, function: weather })],
    ...options,
  });
  return { text: await runner.finalContent(), messages: story(runner.messages) };
}

async function toolResult(side) {
  const { baseURL, model } = side;
  const first = await at(baseURL).chat.completions.create({ model, messages: ASKED, tools: [TOOL] });
  const { message } = first.choices[0];
  const result = { role: "tool", tool_call_id: message.tool_calls[0].id, content: "It is sunny in Paris." };
  return chat(side, [...ASKED, message, result], { tools: [TOOL] });
}

const itemsOf = (output) =>
  output.map((item) => {
    if (item.type === "function_call") return ["function_call", item.name, JSON.parse(item.arguments)];
    return [item.type, item.content?.map((part) => part.text)];
  });

async function respond({ baseURL, model }, input, options = {}) {
  const { status, output_text, output } = await at(baseURL).responses.create({ model, input, ...options });
  return { status, text: output_text, output: itemsOf(output) };
}

async function streamedResponse({ baseURL, model }, input, options = {}) {
  let text = "";
  const stream = at(baseURL).responses.stream({ model, input, ...options });
  stream.on("response.output_text.delta", ({ delta }) => (text += delta));
  const { status, output } = await stream.finalResponse();
  return { status, text, output: itemsOf(output) };
}

const RESPONSES_TOOL = zodResponsesFunction({ name: "get_weather", parameters: weatherArguments });

async function responsesToolResult(side) {
  const { baseURL, model } = side;
  const { output } = await at(baseURL).responses.create({ model, input: QUESTION, tools: [RESPONSES_TOOL] });
  const { call_id } = output.find(({ type }) => type === "function_call");
  const result = { type: "function_call_output", call_id, output: "It is sunny in Paris." };
  return respond(side, [{ role: "user", content: QUESTION }, ...output, result], { tools: [RESPONSES_TOOL] });
}

async function gatheredUsage({ baseURL, model }) {
  const options = { stream: true, stream_options: { include_usage: true } };
  const stream = await at(baseURL).chat.completions.create({ model, messages: HELLO, ...options });
  const seen = [];
  for await (const { choices, usage } of stream) if (usage) seen.push([choices.length, counted(usage)]);
  return { usage: seen };
}

const abilities = {
  chat: (side) => chat(side, HELLO),
  "streamed chat": (side) => streamed(side, HELLO),
  "tool call": (side) => chat(side, ASKED, { tools: [TOOL] }),
  "streamed tool call": (side) => streamed(side, ASKED, { tools: [TOOL] }),
  "tool result": toolResult,
  "tool_choice none": (side) => chat(side, ASKED, { tools: [TOOL], tool_choice: "none" }),
  "tool_choice required": (side) => chat(side, ASKED, { tools: [TOOL], tool_choice: "required" }),
  "tool_choice of a function": (side) =>
    chat(side, ASKED, { tools: [TOOL, OTHER], tool_choice: { type: "function", function: { name: "get_time" } } }),
  "agent loop": (side) => loop(side),
  "streamed agent loop": (side) => loop(side, { stream: true }),
  "tool call beside the service's tools": (side) => chat(side, ASKED, { tools: [TOOL] }),
  "agent loop beside the service's tools": (side) => loop(side),
  "structured output": async ({ baseURL, model }) => {
    const response_format = zodResponseFormat(person, "person");
    const { choices } = await at(baseURL).chat.completions.parse({ model, messages: HELLO, response_format });
    return { parsed: choices[0].message.parsed };
  },
  "streamed structured output": async ({ baseURL, model }) => {
    const response_format = zodResponseFormat(person, "person");
    const runner = at(baseURL).chat.completions.stream({ model, messages: HELLO, response_format });
    return { parsed: (await runner.finalChatCompletion()).choices[0].message.parsed };
  },
  "json mode": async (side) => {
    const { text } = await chat(side, HELLO, { response_format: { type: "json_object" } });
    return { parsed: JSON.parse(text) };
  },
  "list models": async ({ baseURL, model }) => {
    const models = [];
    for await (const each of at(baseURL).models.list()) models.push(each);
    return { count: models.length, ours: models[0].id === model, object: models[0].object };
  },
  "usage in streams": gatheredUsage,
  "error of a bad request": (side) => refusal(() => chat(side, [{ role: "user", content: 7 }])),
  "streamed error of a bad request": (side) => refusal(() => streamed(side, [{ role: "user", content: 7 }])),
  "too long a history": (side) => refusal(() => chat(side, [{ role: "user", content: "long ".repeat(4000) }])),
  "stopped stream": async ({ baseURL, model }) => {
    const stream = await at(baseURL).chat.completions.create({ model, messages: HELLO, stream: true });
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break;
    return { aborted: stream.controller.signal.aborted };
  },
  "from a browser": async ({ baseURL, model }) => {
    const more = { dangerouslyAllowBrowser: true, fetch: browserFetch };
    const client = new OpenAI({ baseURL, apiKey: "none", maxRetries: 0, ...more });
    const whole = await client.chat.completions.create({ model, messages: HELLO }, { idempotencyKey: "once" });
    const stream = client.chat.completions.stream({ model, messages: HELLO });
    return { text: whole.choices[0].message.content, streamed: await stream.finalContent() };
  },
  logprobs: async ({ baseURL, model }) => {
    const options = { model, messages: HELLO, logprobs: true, top_logprobs: 2 };
    const { choices } = await at(baseURL).chat.completions.create(options);
    const tokens = choices[0].logprobs.content.map(({ token, top_logprobs }) => [token, top_logprobs.length]);
    return { tokens: tokens.filter(([token]) => token) }; // llama.cpp has the end of the turn only if it is not streamed
  },
  responses: (side) => respond(side, "Hello", { instructions: "Be brief." }),
  "streamed responses": (side) => streamedResponse(side, "Hello"),
  "responses tool call": (side) => respond(side, QUESTION, { tools: [RESPONSES_TOOL] }),
  "responses tool result": responsesToolResult,
  "streamed responses tool call": (side) => streamedResponse(side, QUESTION, { tools: [RESPONSES_TOOL] }),
  "responses structured output": async ({ baseURL, model }) => {
    const text = { format: zodTextFormat(person, "person") };
    const response = await at(baseURL).responses.parse({ model, input: "Hello", text });
    return { parsed: response.output_parsed };
  },
  previous_response_id: async (side) => {
    const { id } = await at(side.baseURL).responses.create({ model: side.model, input: "Hello" });
    return respond(side, "And now?", { previous_response_id: id });
  },
  completions: async ({ baseURL, model }) => {
    const { choices } = await at(baseURL).completions.create({ model, prompt: "Hello", max_tokens: 8 });
    return { finish_reason: choices[0].finish_reason, text: choices[0].text };
  },
  "streamed completions": async ({ baseURL, model }) => {
    const options = { model, prompt: "Hello", max_tokens: 8, stream: true };
    let text = "";
    for await (const { choices } of await at(baseURL).completions.create(options)) text += choices[0]?.text ?? "";
    return { text };
  },
  reasoning: async ({ baseURL, model }) => {
    const whole = await at(baseURL).chat.completions.create({ model, messages: HELLO });
    let streamed = "";
    for await (const { choices } of await at(baseURL).chat.completions.create({ model, messages: HELLO, stream: true }))
      streamed += choices[0]?.delta.reasoning_content ?? "";
    return { text: whole.choices[0].message.content, reasoning: whole.choices[0].message.reasoning_content, streamed };
  },
  embeddings: async ({ baseURL, model }) => {
    const { data } = await at(baseURL).embeddings.create({ model, input: ["Hello", "Bye"] });
    return { vectors: data.map(({ embedding }) => embedding.map((value) => value.toFixed(4))) };
  },
};

console.log(JSON.stringify(await row("openai (Node.js)", versionOf("openai"), abilities)));
