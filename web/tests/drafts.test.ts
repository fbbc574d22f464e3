// What is being written is kept per conversation, and per message that is written anew.
import { beforeEach, expect, test, vi } from "vitest";

type Drafts = typeof import("../src/composer/drafts");
let stored: Map<string, string>;

/** The module, as a page that was just opened has it. */
async function reloaded(): Promise<Drafts> {
  vi.resetModules();
  return await import("../src/composer/drafts");
}

beforeEach(() => {
  stored = new Map();
  vi.stubGlobal("localStorage", {
    getItem: (name: string) => stored.get(name) ?? null,
    setItem: (name: string, value: string) => void stored.set(name, value),
    removeItem: (name: string) => void stored.delete(name),
  });
});

test("an edit has a draft of its own for each conversation and message", async () => {
  let drafts = await reloaded();
  drafts.keepDraft("a", { text: "new" });
  drafts.keepEdit("a", 0, "first, better");
  drafts.keepEdit("a", 4, "third, better");
  drafts.keepEdit("b", 0, "of another");
  drafts = await reloaded();
  expect(drafts.draftOf("a")).toEqual({ text: "new" });
  expect([drafts.editOf("a", 0), drafts.editOf("a", 4)]).toEqual(["first, better", "third, better"]);
  expect([drafts.editOf("b", 0), drafts.editOf("b", 4)]).toEqual(["of another", undefined]);
  expect([drafts.editedIn("a"), drafts.editedIn("b"), drafts.editedIn("c")]).toEqual([4, 0, undefined]);
  drafts.keepEdit("a", 0, "first, best");
  expect(drafts.editedIn("a")).toBe(0); // the last one
  drafts.keepEdit("a", 0, undefined);
  expect([drafts.editOf("a", 0), drafts.editedIn("a")]).toEqual([undefined, 4]);
});

test("ids that look like the key of an edit are of other conversations", async () => {
  const drafts = await reloaded();
  drafts.keepEdit("a#1", 2, "of a#1");
  expect([drafts.editedIn("a"), drafts.editOf("a", 1), drafts.editedIn("a#1")]).toEqual([undefined, undefined, 2]);
  drafts.forgetWritten("a");
  expect(drafts.editOf("a#1", 2)).toBe("of a#1");
});

test("a draft of a message that was sent keeps its id", async () => {
  let drafts = await reloaded();
  drafts.keepDraft("a", { text: "pay 7", sent: { id: "r-1", before: 2 } });
  drafts = await reloaded();
  expect(drafts.draftOf("a")).toEqual({ text: "pay 7", sent: { id: "r-1", before: 2 } });
  drafts.keepDraft("a", { text: "pay 8" });
  expect(drafts.draftOf("a")).toEqual({ text: "pay 8" });
});

test("with a conversation all that was written in it goes", async () => {
  const drafts = await reloaded();
  drafts.keepDraft("a", { text: "new" });
  drafts.keepEdit("a", 0, "one");
  drafts.keepEdit("a", 2, "two");
  drafts.keepEdit("b", 2, "stays");
  drafts.forgetWritten("a");
  expect([...stored.values()].join()).not.toMatch(/new|one|two/);
  expect(drafts.editOf("b", 2)).toBe("stays");
});

test("fifty are kept, the newest, and none that is too long", async () => {
  const drafts = await reloaded();
  for (let place = 0; place < 60; place++) drafts.keepEdit(`page-${place}`, 0, "x");
  expect([drafts.editOf("page-9", 0), drafts.editOf("page-10", 0)]).toEqual([undefined, "x"]);
  drafts.keepEdit("a", 0, "x".repeat(20_001));
  drafts.keepDraft("a", { text: "x".repeat(20_001) });
  expect([drafts.editOf("a", 0), drafts.draftOf("a")]).toEqual([undefined, { text: "" }]);
});

test.each(["{", "null", "7", '{"a": 7, "b": {"text": 1}, "c": {"text": "x", "sent": {"id": 1}}, "d": "older form"}'])(
  "what the storage has may be anything: %s",
  async (text) => {
    stored.set("agentkit-drafts", text).set("agentkit-edits", text);
    const drafts = await reloaded();
    expect([drafts.draftOf("a"), drafts.draftOf("b"), drafts.editedIn("a")]).toEqual([{ text: "" }, { text: "" }, undefined]);
    if (text.length > 4) {
      expect([drafts.draftOf("c"), drafts.draftOf("d")]).toEqual([{ text: "x" }, { text: "older form" }]);
    }
    drafts.keepEdit("a", 0, "kept all the same");
    expect(drafts.editOf("a", 0)).toBe("kept all the same");
  },
);
