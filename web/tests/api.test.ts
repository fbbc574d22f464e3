// The client against the real service.
import { expect, inject, test } from "vitest";
import { events, type Frame, LLMAPI, LLMError } from "../src/api";

const { url, key } = inject("service");
const api = new LLMAPI({ baseUrl: `${url}/`, token: key });
let count = 0;
const fresh = (): string => `s/${++count} ü`;

async function all(frames: AsyncIterable<Frame>): Promise<Frame[]> {
  const found: Frame[] = [];
  for await (const frame of frames) found.push(frame);
  return found;
}

const text = (frames: Frame[]): string => frames.map((each) => ("content" in each ? each.content : "")).join("");

test("a single shot", async () => {
  const r = await api.chat([{ role: "user", content: "Hello" }], { temperature: null, max_tokens: 5 });
  expect(r.status).toBe(200);
  expect(r.data.response).toBe("Hello: Hello");
  expect(r.data.usage.requests).toBe(1);
});

test("a session, its history, its name, its end", async () => {
  const id = fresh();
  const r = await api.sessionChat(id, "Hello!", { system_prompt: "Be brief." });
  expect(r.data).toMatchObject({ response: "Be brief.: Hello!", session_id: id });
  const told = await api.getSessionHistory(id);
  expect(told.data.messages.map((turn) => [turn.role, turn.content])).toEqual([
    ["user", "Hello!"],
    ["assistant", "Be brief.: Hello!"],
  ]);
  await api.renameSession(id, "Greeting");
  const listed = await api.listSessions();
  expect(listed.data.sessions.find((each) => each.session_id === id)?.name).toBe("Greeting");
  expect((await api.clearSession(id)).data).toEqual({ ok: true, message: `Session ${id} cleared` });
  await expect(api.getSessionHistory(id)).rejects.toMatchObject({ status: 404, detail: "Session not found" });
});

test("a branch, a pin, a search, a link", async () => {
  const [id, branch] = [fresh(), fresh()];
  await api.sessionChat(id, "One heron");
  await api.sessionChat(id, "two");
  const turns = (await api.getSessionHistory(id)).data.messages;
  await api.branchSession(id, branch, turns[2]!.begins);
  await api.sessionChat(branch, "a stork");
  const { branches, pinned, shared } = (await api.getSessionHistory(branch)).data;
  expect(branches.map((each) => [each.begins, each.session_id])).toEqual([[2, id], [2, branch]]);
  expect([pinned, shared]).toEqual([false, null]);
  await api.pinSession(id, true);
  const found = (await api.searchSessions("STORK heron")).data;
  expect(found.sessions.map((each) => [each.session_id, each.pinned])).toEqual([[branch, true]]);
  const { snippet, matches } = found.sessions[0]!;
  expect(matches.map(([begin, end]) => [...snippet].slice(begin, end).join(""))).toContain("stork");
  await expect(api.shareSession(id)).rejects.toMatchObject({ status: 403 });
  await expect(api.getShared("x")).rejects.toMatchObject({ status: 404 });
  expect((await api.unshareSession(id)).data.ok).toBe(true);
});

test("a message whose response is lost is sent once more, and answered once", async () => {
  const keys: (string | null)[] = [];
  const losing = new LLMAPI({
    baseUrl: url,
    token: key,
    fetch: async (input, init) => {
      keys.push(new Headers(init?.headers).get("Idempotency-Key"));
      const response = await fetch(input, init);
      if (keys.length % 2 === 0) return response;
      await response.text();
      throw new TypeError("connection reset");
    },
  });
  const id = fresh();
  expect((await losing.sessionChat(id, "one")).data.response).toBe("You are a: one");
  expect(text(await all(losing.sessionStream(id, "two")))).toBe("You are a: one | two");
  expect((await losing.sessionChat(id, "one", { requestId: 'a "key"' })).data.usage.requests).toBe(0);
  for (const requestId of ["订单-7", "naïve", "tab\there"]) {
    expect((await losing.sessionChat(fresh(), requestId, { requestId })).data.response).toBe(`You are a: ${requestId}`);
    expect(keys.at(-1)).toBeNull(); // it is in the body: headers can't have such characters
  }
  expect(keys[0]).toBe(keys[1]);
  expect(keys[1]).not.toBe(keys[2]);
  expect(keys[4]).toBe('"a \\"key\\""');
  expect((await api.getSessionHistory(id)).data.messages.map((turn) => turn.role)).toEqual(
    Array.from({ length: 3 }, () => ["user", "assistant"]).flat(),
  );
});

test("streams, with tool calls and usage", async () => {
  const id = fresh();
  expect(text(await all(api.stream([{ role: "user", content: "Hi" }])))).toBe("Hi: Hi");
  const frames = await all(api.sessionStream(id, "look up tides"));
  const states = frames.flatMap((each) => ("tool" in each ? [each.tool.state] : []));
  expect(states).toEqual(["started", "finished"]);
  expect(frames.some((each) => "usage" in each)).toBe(true);
  expect(frames.at(-1)).toEqual({ done: true, session_id: id });
});

test("a call that waits is shown, decided on, and the answer goes on", async () => {
  const id = fresh();
  const shown = (await all(api.sessionStream(id, "approve tides"))).find((each) => "approval" in each);
  if (!shown || !("approval" in shown)) throw new Error("no approval");
  const { asked, calls } = shown.approval;
  const pending = calls[0]!;
  expect([pending.name, JSON.parse(pending.arguments)]).toEqual(["approved", { topic: "tides" }]);
  const told = (await api.getSessionHistory(id)).data;
  expect([told.asked, told.pending]).toEqual([asked, calls]);
  await expect(api.decide(id, { [pending.id]: true }, { asked: "other" })).rejects.toMatchObject({ status: 409 });
  const frames = await all(api.decideStream(id, { [pending.id]: { topic: "moon" } }, { asked }));
  expect(frames.flatMap((each) => ("tool" in each ? [each.tool.response] : [])).at(-1)).toContain("all about moon");
  expect(frames.at(-1)).toEqual({ done: true, session_id: id });
  expect((await api.getSessionHistory(id)).data.pending).toEqual([]);
  const again = (await api.sessionChat(id, "approve sun")).data;
  expect(again.stopped).toBe("approval");
  expect((await api.decide(id, { [again.pending![0]!.id]: "no" })).data.stopped).toBe("answer");
});

test("letters that are cut in the middle of their bytes come whole", async () => {
  expect(text(await all(api.sessionStream(fresh(), "letters")))).toBe("äöü 日本 🙂");
});

test("an aborted stream ends here and on the server", async () => {
  const control = new AbortController();
  const running = async (): Promise<void> => {
    for await (const frame of api.sessionStream(fresh(), "endless", { signal: control.signal })) {
      if ("content" in frame) control.abort();
    }
  };
  await expect(running()).rejects.toMatchObject({ name: "AbortError" });
  await expect.poll(runs, { timeout: 10_000 }).toBe(0);
});

test("leaving the loop stops the run too", async () => {
  for await (const frame of api.sessionStream(fresh(), "endless")) if ("content" in frame) break;
  await expect.poll(runs, { timeout: 10_000 }).toBe(0);
});

test("an answer in the background goes on, is joined, and is stopped", async () => {
  const id = fresh();
  for await (const frame of api.sessionStream(id, "endless", { background: true })) if ("content" in frame) break;
  expect((await api.getSessionHistory(id)).data.running).toBe(true);
  expect((await api.listSessions()).data.sessions.find((each) => each.session_id === id)?.running).toBe(true);
  const control = new AbortController();
  const leaving = async (): Promise<void> => {
    for await (const frame of api.joinStream(id, { signal: control.signal })) if ("content" in frame) control.abort();
  };
  await expect(leaving()).rejects.toMatchObject({ name: "AbortError" });
  const frames: Frame[] = [];
  for await (const frame of api.joinStream(id)) {
    frames.push(frame);
    if (frames.length === 3) expect((await api.stopSession(id)).status).toBe(200);
  }
  expect(frames[0]).toEqual({ question: expect.objectContaining({ content: "endless", images: [] }) });
  expect(frames.flatMap((each) => ("stopped" in each ? [each.stopped] : []))).toEqual(["cancelled"]);
  const { running, messages } = (await api.getSessionHistory(id)).data;
  expect([running, messages.map((turn) => turn.stopped)]).toEqual([false, ["", "cancelled"]]);
  expect(messages[1]?.content).toBe(text(frames).trim());
  expect(messages[1]?.usage?.requests).toBe(1);
  expect(Date.parse(messages[1]!.time!)).toBeGreaterThanOrEqual(Date.parse(messages[0]!.time!));
  await expect(all(api.joinStream(id))).rejects.toMatchObject({ status: 404 });
  expect((await api.stopSession(id)).status).toBe(200);
});

test("a message that is sent again with its id goes on where it is", async () => {
  const id = fresh();
  const options = { background: true, requestId: "r1" };
  for await (const frame of api.sessionStream(id, "endless", options)) if ("content" in frame) break;
  let count = 0;
  for await (const frame of api.sessionStream(id, "endless", options)) {
    if (++count === 2 && "content" in frame) break;
  }
  expect(await runs()).toBe(1);
  await api.clearSession(id);
  await expect.poll(runs).toBe(0);
  await expect(api.getSessionHistory(id)).rejects.toMatchObject({ status: 404 });
});

/** A service whose streams have these pieces, and then nothing. */
function stalling(...pieces: string[]): LLMAPI {
  const start = (control: ReadableStreamDefaultController<Uint8Array>): void =>
    pieces.forEach((each) => control.enqueue(new TextEncoder().encode(each)));
  return new LLMAPI({ fetch: async () => new Response(new ReadableStream({ start })) });
}

test("a stream without a sign of life ends with an error", async () => {
  const frames: Frame[] = [];
  const service = stalling('data: {"content": "a"}\n\n', ": still here\n\n");
  const reading = async (): Promise<void> => {
    for await (const frame of service.joinStream("s", { silence: 0.05 })) frames.push(frame);
  };
  await expect(reading()).rejects.toMatchObject({ name: "LLMError", status: 0, lost: "silent" });
  expect(frames).toEqual([{ content: "a" }]);
});

test("comments are signs of life", async () => {
  let sent = 0;
  const pull = async (control: ReadableStreamDefaultController<Uint8Array>): Promise<void> => {
    await new Promise((resolve) => setTimeout(resolve, 150));
    control.enqueue(new TextEncoder().encode(++sent < 16 ? ": still here\n\n" : 'data: {"done": true}\n\n'));
  };
  const slow = new LLMAPI({ fetch: async () => new Response(new ReadableStream({ pull })) });
  expect(await all(slow.sessionStream("s", "x", { silence: 2 }))).toEqual([{ done: true }]);
});

test("a service that does not respond is silent too, and a connection that breaks says so", async () => {
  const deaf: typeof fetch = (_, init) =>
    new Promise((_resolve, reject) => init!.signal!.addEventListener("abort", () => reject(init!.signal!.reason)));
  const silent = new LLMAPI({ fetch: deaf }).joinStream("s", { silence: 0.05 });
  await expect(all(silent)).rejects.toMatchObject({ status: 0, lost: "silent" });
  const start = (control: ReadableStreamDefaultController<Uint8Array>): void => control.error(new TypeError("reset"));
  const broken = new LLMAPI({ fetch: async () => new Response(new ReadableStream({ start })) });
  await expect(all(broken.joinStream("s"))).rejects.toMatchObject({ status: 0, lost: "broken" });
});

async function runs(): Promise<number> {
  const response = await fetch(`${url}/metrics`, { headers: { Authorization: `Bearer ${key}` } });
  return Number(/^agentkit_runs (.*)$/m.exec(await response.text())?.[1]);
}

test("a file is read, and sent with a message", async () => {
  const read = await api.readDocument("Bericht ü\ud800.md", new Blob(["# Tower\n\n31 metres"]));
  expect(read.data).toEqual({ name: "Bericht ü\ufffd.md", text: "# Tower\n\n31 metres", characters: 18, was_cut: false });
  const { name, text: content } = read.data;
  const id = fresh();
  await api.sessionChat(id, "How high?", { attachments: [{ name, text: content }] });
  const [question] = (await api.getSessionHistory(id)).data.messages;
  expect(question).toMatchObject({ content: "How high?", attachments: [{ name, characters: 18 }] });
  await expect(api.readDocument("a.txt", new Blob([]))).rejects.toMatchObject({ status: 422, detail: "a.txt is empty" });
});

test("what the service is", async () => {
  const { data } = await api.about();
  expect(data.attachments).toContain(".pdf");
  expect(data.tools.every((each) => typeof each.read_only === "boolean")).toBe(true);
});

test("health does not throw, and says more to who has a key", async () => {
  const r = await new LLMAPI({ baseUrl: url }).health();
  expect(r.data).toEqual({ status: "ok", detail: null });
  expect((await api.health()).data.server_url).toContain("http");
});

test("what is refused says why", async () => {
  const stranger = new LLMAPI({ baseUrl: url, token: () => null });
  const refused = { name: "LLMError", status: 401, detail: "Could not validate credentials" };
  await expect(stranger.listSessions()).rejects.toMatchObject(refused);
  await expect(all(stranger.stream([{ role: "user", content: "x" }]))).rejects.toMatchObject(refused);
  await expect(api.chat([])).rejects.toThrowError(/^messages: /);
  const nowhere = new LLMAPI({ baseUrl: "http://127.0.0.1:9" });
  await expect(nowhere.listSessions()).rejects.toMatchObject({ status: 0 });
  stranger.configure({ token: key });
  expect((await stranger.listSessions()).status).toBe(200);
});

test("a stream that breaks off is an error", async () => {
  const half: typeof fetch = async () => new Response('data: {"content": "a"}\n\n');
  const broken = new LLMAPI({ fetch: half });
  await expect(all(broken.stream([{ role: "user", content: "x" }]))).rejects.toBeInstanceOf(LLMError);
});

test("events are read however they are cut", async () => {
  const whole = new TextEncoder().encode(': note\r\n\r\ndata: {"a":\r\ndata: "ü"}\r\n\r\nevent: x\ndata:2\n\ndata: 3\r\r');
  for (let size = 1; size < 9; size++) {
    const pieces: Uint8Array[] = [];
    for (let start = 0; start < whole.length; start += size) pieces.push(whole.slice(start, start + size));
    const found: string[] = [];
    const body = new ReadableStream<Uint8Array>({
      start(control) {
        for (const piece of pieces) control.enqueue(piece);
        control.close();
      },
    });
    for await (const data of events(body)) found.push(data);
    expect(found).toEqual(['{"a":\n"ü"}', "2", "3"]);
  }
});
