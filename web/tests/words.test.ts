// Each word of the page is there in each language, with all that it is given.
import { expect, test } from "vitest";
import { de } from "../src/words/de";
import { en, type Words } from "../src/words/en";
import { zh } from "../src/words/zh";

const SAME = ["<7> <5>", "API", "Name", "Ctrl", "Shift", "Delete", "Link", "Sampling", "Prompt", "<7> s", "<7>, as JSON"];
const COUNTS = ["found", "foundSome", "lastDays", "toolsHere", "toolCalls", "tokens", "again", "imageNumber", "version"];

function said(words: Words, name: keyof Words): string {
  const word: unknown = words[name];
  const given = COUNTS.includes(name) ? [7, 5] : ["<7>", "<5>"];
  if (typeof word === "function") return String((word as (...given: unknown[]) => unknown)(...given));
  return Array.isArray(word) ? word.join("<>") : String(word);
}

test.each(Object.entries({ de, zh }))("%s", (_, words) => {
  for (const name of Object.keys(en) as (keyof Words)[]) {
    const [word, english] = [said(words, name), said(en, name)];
    expect(word.trim(), name).not.toBe("");
    if (!SAME.includes(english)) expect(word, name).not.toBe(english);
    for (const each of english.match(/<?[57]>?/g) ?? []) expect(word, name).toContain(each);
  }
});
