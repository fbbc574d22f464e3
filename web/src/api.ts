/**
 * A client of agentkit's chat service, for browsers and Node.js: fetch, no dependency.
 *
 *     const r = await llmAPI.sessionChat("session_123", "Hello!", { system_prompt: "Be brief." });
 *     console.log(r.data.response);
 *
 *     for await (const frame of llmAPI.sessionStream("session_123", "And now?")) {
 *       if ("content" in frame) print(frame.content);
 *     }
 */

export interface ChatMessage {
  role: "system" | "user" | "assistant";
  content: string;
}

/** What may be said of one answer; undefined and null are not sent. */
export interface ChatOptions {
  temperature?: number | null;
  top_p?: number | null;
  max_tokens?: number | null;
  /** Stops the answer, and the run on the server. */
  signal?: AbortSignal;
}

export interface SessionOptions extends ChatOptions {
  /** The first one sets the session's. */
  system_prompt?: string | null;
  /** The name of a system prompt of the service, perhaps with its version: "tutor", "tutor@v2". */
  prompt?: string | null;
  /** Images, as data URLs. */
  images?: string[];
  /** The id of this message (idempotency key): sent again with the same id, it gets the same answer. By default each
   * message has a new one, with which it is sent once more when the connection fails before there is a response. */
  requestId?: string;
}

export interface ToolCallOut {
  id: string;
  name: string;
  /** JSON, as the model wrote it. */
  arguments: string;
  /** The same, under the name it has in the other JSON forms of a call. */
  raw_arguments?: string;
  response?: string | null;
  error?: string | null;
  seconds?: number | null;
}

export interface Usage {
  requests: number;
  input_tokens: number;
  /** Of the input tokens, those the model server had in its cache. */
  cached_tokens?: number;
  output_tokens: number;
  /** Of the output tokens, those that were reasoning. */
  reasoning_tokens?: number;
  tool_calls: number;
  seconds: number;
  /** null when it is not known. */
  cost?: number | null;
}

/** Whether a source says what a sentence says. */
export type Verdict = "supported" | "weak" | "not found" | "no source";

/** A sentence of an answer, with one source that it cites. */
export interface Citation {
  sentence: string;
  /** Where it stands, in whole characters (code points) of the answer's text; JavaScript counts some of them twice. */
  start: number;
  end: number;
  /** The cited number; null for a sentence that cites nothing. */
  source: number | null;
  verdict: Verdict;
  address: string;
  title: string;
  /** The passage of the source that is nearest to the sentence. */
  quote: string;
  span?: [number, number] | null;
  /** Why it is not supported. */
  reason: string;
}

export interface SourceOut {
  number: number;
  address: string;
  title: string;
  /** False for one that was only found. */
  read: boolean;
  at: string;
  also?: string[];
}

/** A source as it was read. */
export interface SourceText extends SourceOut {
  text: string;
  was_cut: boolean;
}

export interface ChatAnswer {
  response: string;
  /** "answer", or what ended it before. */
  stopped: string;
  usage: Usage;
  tool_calls: ToolCallOut[];
  /** What the sources say of its sentences; none where nothing was read. */
  citations: Citation[];
  sources: SourceOut[];
}

export interface PromptOut {
  name: string;
  version: string;
  weight?: number | null;
}

export interface SessionAnswer extends ChatAnswer {
  session_id: string;
  history_was_cut: boolean;
  prompt?: PromptOut | null;
  /** The calls for which the run has stopped (`stopped` is "approval"). */
  pending?: PendingCall[];
  asked?: string | null;
}

/** What a tool asks a person. */
export interface Question {
  text: string;
  /** The JSON schema of an object that the answer has to fit; null: yes or no. */
  schema?: Record<string, unknown> | null;
  /** What was wrong with the last answer, "" when there was none. */
  problem?: string;
}

/** A call that waits for a person. */
export interface PendingCall {
  id: string;
  name: string;
  /** JSON. */
  arguments: string;
  /** What the tool asks; null for a call that waits for an approval. */
  question?: Question | null;
  /** Why it needs an approval, where there is a reason. */
  reason?: string | null;
}

/** The calls that a session waits for. asked: stands for these calls, and is sent with the decision. */
export interface Approval {
  asked: string;
  calls: PendingCall[];
}

/** true: run it; false or a reason: don't; an object: run it with these arguments, or the answer to its question. */
export type Decision = boolean | string | Record<string, unknown>;

export interface DecisionOptions extends ChatOptions {
  /** The `asked` of the calls that were seen: refused with 409 when others wait now. */
  asked?: string | null;
  /** The id of this decision, as for a message. */
  requestId?: string;
}

export interface Turn {
  role: "user" | "assistant";
  content: string;
  tool_calls: ToolCallOut[];
  images: string[];
  citations?: Citation[];
  /** Where it begins in the session; a branch can be made there. */
  begins: number;
}

/** A version of a turn. For each turn that has several, all of them are in the history, in the order in which they were
 * made; the session itself is among them. */
export interface Branch {
  /** The session that has this version. */
  session_id: string;
  /** The turn: its `begins`. */
  begins: number;
  updated: string;
}

export interface History {
  session_id: string;
  name: string;
  messages: Turn[];
  prompt?: PromptOut | null;
  /** The calls that wait for a person. */
  pending?: PendingCall[];
  asked?: string | null;
  branches: Branch[];
  /** The token of the conversation's link; null when it is not shared. */
  shared: string | null;
  pinned: boolean;
}

/** A conversation, as the branch that was written last. */
export interface SessionOut {
  session_id: string;
  name: string;
  /** ISO 8601, UTC. */
  updated: string;
  pinned: boolean;
}

/** A conversation that was found, as the branch that has the words. */
export interface FoundSession extends SessionOut {
  /** What stands around the first words; "" when only the name has them. */
  snippet: string;
  /** Where the words are in it: begin and end in whole characters (code points); JavaScript counts some twice. */
  matches: [number, number][];
  /** The `begins` of the turn that has the snippet. */
  begins: number | null;
}

export interface Found {
  sessions: FoundSession[];
  /** False when not everything was searched: older conversations may have the words, too. */
  complete: boolean;
}

/** A conversation as it was when it was shared: of tool calls the names, of citations no text of their source. */
export interface SharedConversation {
  name: string;
  messages: Turn[];
  /** ISO 8601, UTC. */
  time: string;
}

export interface Done {
  ok: boolean;
  message: string;
}

export interface Health {
  status: "ok" | "degraded" | "unavailable";
  server_url: string;
  temperature: number;
  max_tokens: number;
  detail?: string | null;
}

/** What a stream tells, one after another; the last is `done`. */
export type Frame =
  | { content: string; session_id?: string }
  | { reasoning: string }
  | { tool: Partial<ToolCallOut> & { id: string; state: "started" | "running" | "finished"; progress?: string } }
  /** Discard the content since the last tool call: the request is retried. */
  | { discarded: true }
  /** What the sources say of the text since the last tool call. */
  | { citations: Citation[] }
  /** The run has stopped for these calls: `decideStream` goes on. */
  | { approval: Approval }
  | { usage: Usage; stopped: string }
  | { error: string }
  | { done: true; session_id?: string };

export interface Answered<T> {
  data: T;
  status: number;
}

/** The service refused, or could not be reached (status 0). */
export class LLMError extends Error {
  constructor(
    readonly status: number,
    readonly detail: string,
    /** Seconds after which it may go better, where the service tells. */
    readonly retryAfter?: number,
  ) {
    super(detail);
    this.name = "LLMError";
  }
}

export interface Settings {
  /** Where the service is, such as "https://chat.example"; "" is where the page comes from. */
  baseUrl?: string;
  /** The key or token, or what gives it when it is wanted. */
  token?: string | null | (() => string | null | undefined);
  fetch?: typeof fetch;
}

export class LLMAPI {
  constructor(private settings: Settings = {}) {}

  /** Change where the service is, or the token. */
  configure(settings: Settings): void {
    this.settings = { ...this.settings, ...settings };
  }

  chat(messages: ChatMessage[], options: ChatOptions = {}): Promise<Answered<ChatAnswer>> {
    return this.json("POST", "/api/llm/chat", { messages, ...given(options) }, options.signal);
  }

  sessionChat(sessionId: string, message: string, options: SessionOptions = {}): Promise<Answered<SessionAnswer>> {
    const body = { session_id: sessionId, message, ...given(options) };
    return this.json("POST", "/api/llm/chat/session", body, options.signal, options.requestId ?? newId());
  }

  /** A single request, streamed. Leaving the loop or aborting the signal stops the run. */
  stream(messages: ChatMessage[], options: ChatOptions = {}): AsyncGenerator<Frame, void, undefined> {
    return this.frames("/api/llm/chat/stream", { messages, ...given(options) }, options.signal);
  }

  /** The next message of a session, streamed. */
  sessionStream(
    sessionId: string,
    message: string,
    options: SessionOptions = {},
  ): AsyncGenerator<Frame, void, undefined> {
    const body = { session_id: sessionId, message, ...given(options) };
    return this.frames("/api/llm/chat/session/stream", body, options.signal, options.requestId ?? newId());
  }

  /** A decision on calls that the session waits for, by their ids; answers as `sessionChat` does. */
  decide(
    sessionId: string,
    approve: Record<string, Decision>,
    options: DecisionOptions = {},
  ): Promise<Answered<SessionAnswer>> {
    const body = { session_id: sessionId, approve, ...given(options) };
    return this.json("POST", "/api/llm/chat/session", body, options.signal, options.requestId ?? newId());
  }

  /** The same, streamed. */
  decideStream(
    sessionId: string,
    approve: Record<string, Decision>,
    options: DecisionOptions = {},
  ): AsyncGenerator<Frame, void, undefined> {
    const body = { session_id: sessionId, approve, ...given(options) };
    return this.frames("/api/llm/chat/session/stream", body, options.signal, options.requestId ?? newId());
  }

  getSessionHistory(sessionId: string): Promise<Answered<History>> {
    return this.json("POST", "/api/llm/chat/session/history", { session_id: sessionId });
  }

  /** A source that the answers of a session may cite, as it was read. */
  getSource(sessionId: string, number: number): Promise<Answered<SourceText>> {
    return this.json("POST", "/api/llm/chat/session/source", { session_id: sessionId, number });
  }

  clearSession(sessionId: string): Promise<Answered<Done>> {
    return this.json("POST", "/api/llm/chat/session/clear", { session_id: sessionId });
  }

  listSessions(): Promise<Answered<{ sessions: SessionOut[] }>> {
    return this.json("GET", "/api/llm/chat/sessions");
  }

  renameSession(sessionId: string, name: string): Promise<Answered<Done>> {
    return this.json("POST", "/api/llm/chat/session/rename", { session_id: sessionId, name });
  }

  /** A session of the same conversation with the messages before a turn (its `begins`), or with all of them. */
  branchSession(sessionId: string, newSessionId: string, begins: number | null = null): Promise<Answered<Done>> {
    const body = { session_id: sessionId, new_session_id: newSessionId, begins };
    return this.json("POST", "/api/llm/chat/session/branch", body);
  }

  pinSession(sessionId: string, pinned: boolean): Promise<Answered<Done>> {
    return this.json("POST", "/api/llm/chat/session/pin", { session_id: sessionId, pinned });
  }

  /** The conversations that have all words of the query, in their names or texts. */
  searchSessions(query: string, signal?: AbortSignal): Promise<Answered<Found>> {
    return this.json("POST", "/api/llm/chat/sessions/search", { query }, signal);
  }

  /** Share what is there now. Called again, the link stays and has what is there then. */
  shareSession(sessionId: string): Promise<Answered<{ token: string }>> {
    return this.json("POST", "/api/llm/chat/session/share", { session_id: sessionId });
  }

  unshareSession(sessionId: string): Promise<Answered<Done>> {
    return this.json("POST", "/api/llm/chat/session/unshare", { session_id: sessionId });
  }

  /** What was shared under a token; needs no key. */
  getShared(token: string): Promise<Answered<SharedConversation>> {
    return this.json("POST", "/api/llm/shared", { token });
  }

  /** The state of the model server; does not throw when it is unreachable. */
  async health(): Promise<Answered<Health>> {
    const response = await this.send("GET", "/api/llm/health");
    if (response.status !== 200 && response.status !== 503) throw await refusal(response);
    return { data: (await response.json()) as Health, status: response.status };
  }

  private async json<T>(
    method: string,
    path: string,
    body?: unknown,
    signal?: AbortSignal,
    requestId?: string,
  ): Promise<Answered<T>> {
    const response = await this.send(method, path, body, signal, requestId);
    if (!response.ok) throw await refusal(response);
    return { data: (await response.json()) as T, status: response.status };
  }

  private async *frames(
    path: string,
    body: unknown,
    signal?: AbortSignal,
    requestId?: string,
  ): AsyncGenerator<Frame, void, undefined> {
    const response = await this.send("POST", path, body, signal, requestId);
    if (!response.ok || !response.body) throw await refusal(response);
    let isDone = false;
    for await (const data of events(response.body)) {
      const frame = JSON.parse(data) as Frame;
      yield frame;
      isDone = "done" in frame;
      if (isDone) return;
    }
    if (!isDone) throw new LLMError(0, "the stream ended too early");
  }

  private async send(
    method: string,
    path: string,
    body?: unknown,
    signal?: AbortSignal,
    requestId?: string,
  ): Promise<Response> {
    const { baseUrl = "", token, fetch: ask = fetch } = this.settings;
    const key = typeof token === "function" ? token() : token;
    const headers: Record<string, string> = {};
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (key) headers["Authorization"] = `Bearer ${key}`;
    if (requestId) headers["Idempotency-Key"] = `"${requestId.replace(/["\\]/g, "\\$&")}"`;
    const request = {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
    };
    for (let triesLeft = requestId ? 1 : 0; ; triesLeft--) {
      try {
        return await ask(baseUrl.replace(/\/+$/, "") + path, request);
      } catch (error) {
        if (signal?.aborted) throw error;
        if (triesLeft === 0) throw new LLMError(0, "the service can't be reached");
      }
    }
  }
}

export const llmAPI = new LLMAPI();

function given(options: SessionOptions & DecisionOptions): Record<string, unknown> {
  const { signal: _, requestId: __, ...fields } = options;
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== null));
}

/** A random id; `crypto.randomUUID` exists in secure contexts only. */
function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function refusal(response: Response): Promise<LLMError> {
  let detail = `the service answers with status ${response.status}`;
  try {
    const text: unknown = ((await response.json()) as { detail?: unknown }).detail;
    if (typeof text === "string") detail = text;
  } catch {
    // no JSON: the status says it all
  }
  const wait = Number(response.headers.get("Retry-After"));
  return new LLMError(response.status, detail, Number.isFinite(wait) && wait > 0 ? wait : undefined);
}

/** The data of server-sent events (WHATWG HTML, section 9.2): comments and other fields are left out. */
export async function* events(body: ReadableStream<Uint8Array>): AsyncGenerator<string, void, undefined> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let pending = "";
  let data: string[] = [];
  try {
    while (true) {
      const { value, done } = await reader.read();
      pending += done ? decoder.decode() : decoder.decode(value, { stream: true });
      // A "\r" at the end may be half of a "\r\n".
      const lines = pending.split(done ? /\r\n|\n|\r/ : /\r\n|\n|\r(?!$)/);
      pending = done ? "" : (lines.pop() ?? "");
      for (const line of lines) {
        if (line === "" && data.length) {
          yield data.join("\n");
          data = [];
        } else if (line.startsWith("data:")) {
          data.push(line.slice(line.startsWith("data: ") ? 6 : 5));
        }
      }
      if (done) return;
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
