// An answer that is waited for: breaks and refusals for now end nothing.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type History, type LLMAPI, LLMError } from "../src/api";
import { LiveAnswer, pause } from "../src/live";

const WATCHER = { begun: vi.fn(), take: vi.fn(), restart: vi.fn(), joining: vi.fn() };
const history = (running: boolean): History => ({ session_id: "a", messages: [], running }) as unknown as History;
const broken = (): LLMError => new LLMError(0, "");

/** An answer whose history is what is given, one after the other; and when each was asked for, in milliseconds. */
function answer(...given: (History | Error)[]): { live: LiveAnswer; times: number[] } {
  const began = Date.now();
  const times: number[] = [];
  const getSessionHistory = async (): Promise<{ data: History }> => {
    times.push(Date.now() - began);
    const next = given.shift()!;
    if (next instanceof Error) throw next;
    return { data: next };
  };
  return { live: new LiveAnswer({ getSessionHistory } as unknown as LLMAPI, "a", WATCHER), times };
}

beforeEach(() => {
  vi.useFakeTimers();
  const target = new EventTarget();
  vi.stubGlobal("document", Object.assign(new EventTarget(), { hidden: false }));
  vi.stubGlobal("addEventListener", target.addEventListener.bind(target));
  vi.stubGlobal("dispatchEvent", target.dispatchEvent.bind(target));
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

test("an answer of another worker is looked at less and less often", async () => {
  const { live, times } = answer(...Array<History>(6).fill(history(true)), history(false));
  const working = vi.fn();
  const ended = live.ended(working);
  await vi.runAllTimersAsync();
  expect(await ended).toEqual(history(false));
  expect(times).toEqual([0, 2000, 6000, 14_000, 22_000, 30_000, 38_000]);
  expect(working).toHaveBeenCalledTimes(6);
});

test("a look that breaks or is refused for now is made again", async () => {
  const refused = new LLMError(429, "rate limit exceeded", 7);
  const { live, times } = answer(history(true), refused, refused, broken(), new LLMError(503, "busy"), history(false));
  const ended = live.ended(() => undefined);
  await vi.runAllTimersAsync();
  expect(await ended).toEqual(history(false));
  expect(times).toEqual([0, 2000, 9000, 16_000, 16_500, 17_500]);
});

test.each([
  ["a refusal for good", [new LLMError(401, "no key")], 1],
  ["a break that stays", Array.from({ length: 5 }, broken), 5],
])("%s ends it", async (_, given, asked) => {
  const { live, times } = answer(...given);
  const ended = expect(live.ended(() => undefined)).rejects.toBeInstanceOf(LLMError);
  await vi.runAllTimersAsync();
  await ended;
  expect(times).toHaveLength(asked);
});

test("whoever leaves does not wait for it", async () => {
  const { live, times } = answer(history(true), history(false));
  const ended = live.ended(() => live.leave());
  await vi.advanceTimersByTimeAsync(2000);
  expect(await ended).toBeUndefined();
  expect(times).toHaveLength(1);
});

test.each([
  ["the network is back", () => dispatchEvent(new Event("online")), true],
  ["the page is looked at", () => document.dispatchEvent(new Event("visibilitychange")), true],
  [
    "the page is hidden",
    () => {
      Object.assign(document, { hidden: true });
      document.dispatchEvent(new Event("visibilitychange"));
    },
    false,
  ],
])("a pause when %s", async (_, happen, isOver) => {
  let isWoken = false;
  void pause(10_000).then(() => (isWoken = true));
  happen();
  await vi.advanceTimersByTimeAsync(1);
  expect(isWoken).toBe(isOver);
  await vi.advanceTimersByTimeAsync(10_000);
  expect(isWoken).toBe(true);
});
