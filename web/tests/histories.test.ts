// What a history says of a message: whether it has it, and whether it was answered.
import { expect, test } from "vitest";
import type { History, Turn } from "../src/api";
import { hasQuestion, isComplete, isOther, isUnanswered } from "../src/conversation/histories";

const turn = (role: string, content: string, stopped = ""): Turn => ({ role, content, stopped }) as unknown as Turn;
const history = (messages: Turn[], running = false): History => ({ session_id: "a", messages, running }) as unknown as History;

test("the same words from before a message was sent are not that message", () => {
  const yes = history([turn("user", "yes"), turn("assistant", "So be it.", "answer")]);
  expect([hasQuestion(yes, " yes\n", 0), hasQuestion(yes, "yes", 2), hasQuestion(yes, "So be it.", 0)]).toEqual([true, false, false]);
});

test.each([
  [[], false, false, false],
  [[turn("user", "a")], false, false, true],
  [[turn("user", "a")], true, false, false],
  [[turn("user", "a"), turn("assistant", "b", "answer")], true, true, false],
  [[turn("user", "a"), turn("assistant", "b", "approval")], false, false, false],
  [[turn("user", "a"), turn("assistant", "b", "")], false, false, false], // its run failed
])("%j, running: %s", (messages, running, complete, unanswered) => {
  const there = history(messages, running);
  expect([isComplete(there), isUnanswered(there)]).toEqual([complete, unanswered]);
});

test("a history that only is in progress no more shows nothing else", () => {
  const messages = [turn("user", "a"), turn("assistant", "b", "answer")];
  expect(isOther(history(messages, true), history([...messages]))).toBe(false);
  expect(isOther(history(messages), history(messages.slice(0, 1)))).toBe(true);
});
