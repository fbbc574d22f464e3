// Each word of the page is there in each language.
import { expect, test } from "vitest";
import { de } from "../src/words/de";
import { en, type Words } from "../src/words/en";
import { zh } from "../src/words/zh";

const SAME = new Set(["API", "Name", "Ctrl", "Delete", "Link", "Sampling", "Prompt", "Top P (0 to 1)", "Top P (0 bis 1)"]);
const SAME_CALLED = new Set(["seconds"]);

function said(words: Words, name: keyof Words, values: unknown[]): string {
  const word: unknown = words[name];
  return typeof word === "function" ? String((word as (...given: unknown[]) => unknown)(...values)) : String(word);
}

for (const [language, words] of Object.entries({ de, zh })) {
  test.each(Object.keys(en) as (keyof Words)[])(`${language}: %s`, (name) => {
    const values = [7, 5].map((each) => (/^(remove|tooLarge|more|deleted|endedBy|modelIs)$/.test(name) ? `<${each}>` : each));
    const word = said(words, name, values);
    const english = said(en, name, values);
    expect(word.trim()).not.toBe("");
    if (!SAME.has(english) && !SAME_CALLED.has(name)) expect(word).not.toBe(english);
    for (const each of english.match(/<?[57]>?/g) ?? []) expect(word).toContain(each); // nothing is left out
  });
}
