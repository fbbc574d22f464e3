// The groups of the list are days of the reader, who may be anywhere and read any language.
import { afterEach, expect, test, vi } from "vitest";

const NOW = new Date("2026-06-15T00:30:00Z");
const TIMES = ["2026-06-15T00:10:00Z", "2026-06-14T14:00:00Z", "2026-06-09T12:00:00Z", "2026-03-29T12:00:00Z", "2025-12-31T12:00:00Z"];
const zone = process.env["TZ"];

async function loaded(languages: string[]): Promise<{ words: typeof import("../src/words"); groups: typeof import("../src/sidebar/groups") }> {
  vi.resetModules();
  vi.stubGlobal("navigator", { languages, language: languages[0] ?? "" });
  return { words: await import("../src/words"), groups: await import("../src/sidebar/groups") };
}

afterEach(() => {
  process.env["TZ"] = zone;
  vi.unstubAllGlobals();
});

test.each([
  ["Asia/Tokyo", "en-GB", ["Today 1", "Yesterday 1", "Previous 7 days 1", "March 1", "December 2025 1"]],
  ["America/Los_Angeles", "de", ["Heute 2", "Letzte 7 Tage 1", "März 1", "Dezember 2025 1"]],
  ["Asia/Shanghai", "zh-CN", ["今天 1", "昨天 1", "过去 7 天 1", "三月 1", "2025年12月 1"]],
])("%s %s", async (timeZone, language, expected) => {
  process.env["TZ"] = timeZone;
  const { groups } = await loaded([language]);
  const sessions = TIMES.map((updated, number) => ({ session_id: String(number), name: "", updated, pinned: false, running: false }));
  expect(groups.grouped(sessions, NOW).map((each) => `${each.name} ${each.sessions.length}`)).toEqual(expected);
});

test("a day of 23 hours is a day, a clock that is behind sees today, and what is pinned comes first", async () => {
  process.env["TZ"] = "Europe/Berlin";
  const { groups } = await loaded(["en"]);
  const sessions = ["2026-03-30T12:00:00Z", "2026-03-29T22:30:00Z", "2026-03-28T23:30:00Z", "2026-03-28T22:30:00Z"];
  const found = groups.grouped(
    sessions.map((updated, number) => ({ session_id: String(number), name: "", updated, pinned: number === 3, running: false })),
    new Date("2026-03-29T23:00:00Z"), // 1:00 on the 30th, after the shortest day of the year
  );
  expect(found.map((each) => [each.key, each.sessions.map((session) => session.session_id).join("")])).toEqual([
    ["pinned", "3"],
    ["0", "01"],
    ["1", "2"],
  ]);
});

test.each([
  [["fr-FR", "en-GB", "zh-CN"], "New conversation"], // apache/airflow#68258: a region was passed over
  [["fr-FR", "de-CH", "en"], "Neue Unterhaltung"],
  [["zh-Hans-CN", "en"], "新对话"],
  [["fr", "ja"], "New conversation"], // Tencent/BrowserSkill#168: all others read Chinese
  [[], "New conversation"],
])("the first language that the page knows of %s", async (languages, expected) => {
  const { words } = await loaded(languages);
  expect(words.t.newConversation).toBe(expected);
});
