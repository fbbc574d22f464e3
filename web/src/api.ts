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
  /** Stops the answer, and the run on the server unless it is in the `background`. */
  signal?: AbortSignal;
  /** Of a stream: seconds without a single byte after which it ends with an error, by default 30; 0: none. The service
   * sends a sign of life every 10 seconds, so that a dead connection is noticed by its silence. */
  silence?: number;
}

export interface SessionOptions extends ChatOptions {
  /** The first one sets the session's. */
  system_prompt?: string | null;
  /** The name of a system prompt of the service, perhaps with its version: "tutor", "tutor@v2". */
  prompt?: string | null;
  /** Images, as data URLs. */
  images?: string[];
  /** Documents, which the model is shown behind the message; `readDocument` makes them of files. */
  attachments?: Attachment[];
  /** The id of this message (idempotency key): sent again with the same id, it gets the same answer. By default each
   * message has a new one, with which it is sent once more when the connection fails before there is a response. */
  requestId?: string;
  /** The answer belongs to the service: it goes on when this client leaves, until `stopSession`. `joinStream` follows
   * it again, and so does the same message with the same `requestId`. */
  background?: boolean;
}

/** A document of a message: its name, and its text. */
export interface Attachment {
  name: string;
  text: string;
}

/** The same in the history: how long its text is. */
export interface AttachmentOut {
  name: string;
  characters: number;
}

/** The text of a file. */
export interface DocumentOut extends Attachment {
  /** Length of the whole text; that of a long document is cut. */
  characters: number;
  was_cut: boolean;
}

export interface ToolOut {
  name: string;
  description: string;
  /** It has no effect. */
  read_only: boolean;
}

/** What the service is and may do. */
export interface About {
  /** "" where the service has none of its own. */
  title: string;
  /** "" where it is not known. */
  model: string;
  tools: ToolOut[];
  prompts: PromptOut[];
  /** Questions to begin with. */
  examples: string[];
  /** Whether the page lets its user set temperature, top_p and max_tokens. */
  sampling: boolean;
  /** Whether sessions can be shared by a link. */
  sharing: boolean;
  /** Whether messages may have images. */
  images: boolean;
  /** Endings of the documents that can be read, such as ".pdf"; other files are if they are texts. [] for none. */
  attachments: string[];
  /** Size of a document to read. */
  max_attachment_bytes: number;
  /** Documents of one message. */
  max_attachments: number;
  /** Length of all of them together. */
  max_attachment_characters: number;
  /** Size of a message with all that goes with it; older services do not tell. */
  max_message_bytes?: number;
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
  /** In a history: what the model wrote before the calls of a reply, with the first of them. */
  said?: string;
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
  /** As for a message. */
  background?: boolean;
}

export interface JoinOptions {
  /** Leaves the answer, which goes on. */
  signal?: AbortSignal;
  /** As for a message. */
  silence?: number;
}

export interface Turn {
  role: "user" | "assistant";
  content: string;
  tool_calls: ToolCallOut[];
  images: string[];
  /** Documents that the user has sent with the message; `content` is without them. */
  attachments?: AttachmentOut[];
  citations?: Citation[];
  /** Number of messages of the session before this one, those of tools too. */
  begins: number;
  /** The model's reasoning before and between the parts of an answer. */
  reasoning: string;
  /** Why an answer ended ("answer", "cancelled", "length", ...); "" for a question, and for an answer that is not
   * complete: it is in progress, or its run has failed. One that was stopped before its first word has no content. */
  stopped: string;
  /** What an answer took; null for a question. */
  usage: Usage | null;
  /** When it was complete: ISO 8601, UTC. */
  time: string | null;
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
  /** Whether an answer in the `background` is in progress: `joinStream` follows it. `messages` ends with what is stored
   * of it; the joined stream has it from its beginning. */
  running: boolean;
}

/** A conversation, as the branch that was written last. */
export interface SessionOut {
  session_id: string;
  name: string;
  /** ISO 8601, UTC. */
  updated: string;
  pinned: boolean;
  /** Whether an answer in the `background` is in progress. */
  running: boolean;
  /** The session ids of all branches of the conversation, oldest first; [] where there is one. */
  branches?: string[];
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

/** What the answer of a joined stream answers. */
export interface JoinedQuestion {
  content: string;
  images: string[];
  attachments: AttachmentOut[];
  /** The beginning of the answer is too long ago to be told: the history will have it. */
  was_cut?: boolean;
}

export interface Done {
  ok: boolean;
  message: string;
}

export interface Health {
  status: "ok" | "degraded" | "unavailable";
  detail?: string | null;
  /** This and the following only with a valid key. */
  server_url?: string;
  temperature?: number;
  max_tokens?: number;
}

/** What a stream tells, one after another; the last is `done`. */
export type Frame =
  /** The first of a joined stream: what is answered; null for a decision on calls of the last answer. */
  | { question: JoinedQuestion | null }
  | { content: string; session_id?: string }
  | { reasoning: string }
  | { tool: Partial<ToolCallOut> & { id: string; state: "started" | "running" | "finished"; progress?: string } }
  /** Discard the content and the reasoning since the last tool call: the request is retried. */
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

/** What is wrong with a connection: there is none, it was silent for too long, it broke before the end, or something else
 * than the service answers, such as the login page of a proxy. */
export type Lost = "unreachable" | "silent" | "broken" | "foreign";

/** The service refused, or could not be reached (status 0). */
export class LLMError extends Error {
  constructor(
    readonly status: number,
    readonly detail: string,
    /** Seconds after which it may go better, where the service tells. */
    readonly retryAfter?: number,
    /** With status 0. */
    readonly lost?: Lost,
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

/** Seconds without a byte after which a stream counts as dead. */
const SILENCE = 30;

/** The slowest upload, in characters a second, for which the response to a long message is waited. */
const SLOWEST = 8_000;

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
    return this.frames("/api/llm/chat/stream", { messages, ...given(options) }, options);
  }

  /** The next message of a session, streamed. Leaving the loop or aborting the signal stops the run, unless it is in
   * the `background`. */
  sessionStream(
    sessionId: string,
    message: string,
    options: SessionOptions = {},
  ): AsyncGenerator<Frame, void, undefined> {
    const body = { session_id: sessionId, message, ...given(options) };
    return this.frames("/api/llm/chat/session/stream", body, options, options.requestId ?? newId());
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
    return this.frames("/api/llm/chat/session/stream", body, options, options.requestId ?? newId());
  }

  /** The answer in the `background` that is in progress, from its beginning; the first frame is `question`. Status 404
   * when none is. Leaving the loop or aborting the signal does not stop it. */
  joinStream(sessionId: string, options: JoinOptions = {}): AsyncGenerator<Frame, void, undefined> {
    return this.frames("/api/llm/chat/session/join", { session_id: sessionId }, options);
  }

  /** Stop the answer in the `background` that is in progress, if there is one; what came of it is in the history.
   * requestId: of a message that may still be on its way: it is stopped, too, if it comes in the next 30 seconds. */
  stopSession(sessionId: string, requestId?: string): Promise<Answered<Done>> {
    return this.json("POST", "/api/llm/chat/session/stop", { session_id: sessionId, requestId });
  }

  /** A document that was sent with a message. begins: that of the message in the history. number: the place of the
   * document among its `attachments`, from 0. */
  getAttachment(sessionId: string, begins: number, number: number): Promise<Answered<Attachment>> {
    return this.json("POST", "/api/llm/documents/sent", { session_id: sessionId, begins, number });
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

  /** The text of a file, which is sent with a message as one of its `attachments`. Throws an LLMError whose detail says
   * why a file can't be read. */
  async readDocument(name: string, file: Blob, signal?: AbortSignal): Promise<Answered<DocumentOut>> {
    const whole = name.replace(/\p{Surrogate}/gu, "\ufffd"); // half a character can't be part of an address
    return this.json("POST", `/api/llm/documents/read?name=${encodeURIComponent(whole)}`, file, signal);
  }

  /** What the service is and may do. */
  about(): Promise<Answered<About>> {
    return this.json("GET", "/api/llm/about");
  }

  /** What was shared under a token; needs no key. */
  getShared(token: string): Promise<Answered<SharedConversation>> {
    return this.json("POST", "/api/llm/shared", { token });
  }

  /** The state of the model server; does not throw when it is unreachable. */
  async health(): Promise<Answered<Health>> {
    const response = await this.send("GET", "/api/llm/health");
    if (response.status !== 200 && response.status !== 503) throw await refusal(response);
    return { data: await jsonOf<Health>(response), status: response.status };
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
    return { data: await jsonOf<T>(response), status: response.status };
  }

  private async *frames(
    path: string,
    body: unknown,
    options: JoinOptions,
    requestId?: string,
  ): AsyncGenerator<Frame, void, undefined> {
    const { signal, silence = SILENCE } = options;
    const response = await this.send("POST", path, body, signal, requestId, silence);
    if (!response.ok || !response.body) throw await refusal(response);
    if (!isOf(response, "text/event-stream")) throw foreign();
    const pieces = events(response.body, silence);
    try {
      while (true) {
        const { value, done } = await pieces.next().catch((error: unknown) => {
          if (signal?.aborted || error instanceof LLMError) throw error;
          throw new LLMError(0, "the connection broke", undefined, "broken");
        });
        if (done) break;
        const frame = JSON.parse(value) as Frame;
        yield frame;
        if ("done" in frame) return;
      }
    } finally {
      await pieces.return();
    }
    throw new LLMError(0, "the stream ended too early", undefined, "broken");
  }

  private async send(
    method: string,
    path: string,
    body?: unknown,
    signal?: AbortSignal,
    requestId?: string,
    silence = 0,
  ): Promise<Response> {
    const { baseUrl = "", token, fetch: ask = fetch } = this.settings;
    const key = typeof token === "function" ? token() : token;
    const headers: Record<string, string> = {};
    const isFile = body instanceof Blob;
    if (body !== undefined) headers["Content-Type"] = isFile ? "application/octet-stream" : "application/json";
    if (key) headers["Authorization"] = `Bearer ${key}`;
    const isHeader = /^[ -~]*$/.test(requestId ?? ""); // headers can't have other characters
    if (requestId && isHeader) headers["Idempotency-Key"] = `"${requestId.replace(/["\\]/g, "\\$&")}"`;
    const fields = isHeader ? body : { ...(body as object), requestId };
    const content = body === undefined || isFile ? body : JSON.stringify(fields);
    const text = content === undefined ? {} : { body: content };
    const length = content instanceof Blob ? content.size : (content?.length ?? 0);
    const seconds = silence && silence + length / SLOWEST;
    for (let triesLeft = requestId ? 1 : 0; ; triesLeft--) {
      const control = new AbortController();
      const abort = (): void => control.abort(signal?.reason);
      if (signal?.aborted) abort();
      signal?.addEventListener("abort", abort, { once: true });
      const request = { method, headers, ...text, signal: control.signal };
      try {
        return await within(seconds, ask(baseUrl.replace(/\/+$/, "") + path, request));
      } catch (error) {
        signal?.removeEventListener("abort", abort);
        if (signal?.aborted) throw error;
        control.abort();
        if (error instanceof LLMError) throw error;
        if (triesLeft === 0) throw new LLMError(0, "the service can't be reached", undefined, "unreachable");
      }
    }
  }
}

export const llmAPI = new LLMAPI();

function given(options: SessionOptions & DecisionOptions): Record<string, unknown> {
  const { signal: _, requestId: __, silence: ___, ...fields } = options;
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== null));
}

/** A random id; `crypto.randomUUID` exists in secure contexts only. */
function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** What an error of a proxy means that says nothing for itself. */
const MEANINGS: Record<number, string> = {
  413: ": a proxy in front of it takes no message or file of this size",
  504: ": a proxy in front of it did not wait for the answer",
};

/** Refusals that the service never sends without a word: something before it wants another login. */
const OF_LOGINS = new Set([301, 302, 303, 307, 308, 401, 403, 407]);

async function refusal(response: Response): Promise<LLMError> {
  let detail = `the service answers with status ${response.status}${MEANINGS[response.status] ?? ""}`;
  let text: unknown;
  try {
    text = ((await response.json()) as { detail?: unknown } | null)?.detail;
  } catch {
    // no JSON: the status says it all
  }
  if (typeof text === "string") detail = text;
  else if (OF_LOGINS.has(response.status) || response.type === "opaqueredirect") return foreign();
  const wait = Number(response.headers.get("Retry-After"));
  return new LLMError(response.status, detail, Number.isFinite(wait) && wait > 0 ? wait : undefined);
}

function foreign(): LLMError {
  return new LLMError(0, "something else than the service answers, such as the login of a proxy", undefined, "foreign");
}

function isOf(response: Response, kind: string): boolean {
  return (response.headers.get("Content-Type") ?? kind).toLowerCase().startsWith(kind);
}

async function jsonOf<T>(response: Response): Promise<T> {
  if (!isOf(response, "application/json")) throw foreign();
  return (await response.json()) as T;
}

/** What comes within so many seconds (0: whenever), else an error. */
function within<T>(seconds: number, coming: Promise<T>): Promise<T> {
  if (!seconds) return coming;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const silent = new Promise<never>((_, reject) => {
    const text = `nothing came from the service for ${Math.round(seconds)} seconds`;
    timer = setTimeout(() => reject(new LLMError(0, text, undefined, "silent")), seconds * 1000);
  });
  return Promise.race([coming, silent]).finally(() => clearTimeout(timer));
}

/** The data of server-sent events (WHATWG HTML, section 9.2): comments and other fields are left out. silence: seconds
 * without a byte after which this is an error; 0: none. */
export async function* events(
  body: ReadableStream<Uint8Array>,
  silence = 0,
): AsyncGenerator<string, void, undefined> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let pending = "";
  let data: string[] = [];
  try {
    while (true) {
      const { value, done } = await within(silence, reader.read());
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
