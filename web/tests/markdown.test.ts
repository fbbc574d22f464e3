// What others write is read in linear time: Markdown, formulas and code that are made to take longer.
import { expect, test } from "vitest";
import { highlighted } from "../src/markdown/highlight";
import { LANGUAGES } from "../src/markdown/languages";
import { looksLikeMaths } from "../src/markdown/maths_syntax";
import { cellsOf } from "../src/markdown/tables_syntax";
import { htmlOf, lastBeginning, newEnv, partsOf } from "../src/markdown/parser";

const SIZE = 2_500;
const MOST_TRIES = 8;
const FLOOR_MILLISECONDS = 4;

function milliseconds(work: () => unknown): number {
  const begun = process.cpuUsage();
  work();
  const used = process.cpuUsage(begun);
  return (used.user + used.system) / 1000;
}

/** Whether twice the text takes at most 2.6 times the CPU time, in one of some tries: other processes disturb it. */
function isLinear(work: (size: number) => unknown): boolean {
  for (let attempt = 0; attempt < MOST_TRIES; attempt++) {
    const single = milliseconds(() => work(SIZE));
    if (milliseconds(() => work(2 * SIZE)) < 2.6 * Math.max(single, FLOOR_MILLISECONDS)) return true;
  }
  return false;
}

const UNITS = [
  "[", "![", "[a](", "[a][", "[^a]", "]", "](", "*", "**", "***a", "**a ", "_a_", "~~", "~", "`", "`` ` ", "<", "<a",
  "<b>", "<sub>", "</",
  "<https://", "<!--", "<details>", "<details>\n", "<summary>", "$", "$a", "$a ", "$$", "$$$", "$$\n", "$$a\n",
  "\\(", "\\[", "\\[a\n", "\\(a\n\n",
  "\\begin{align}\n", "\\", "\\$", "> ", ">", "> >\n", "- ", "-\n", "- a\n", "  - a\n", "1. ", "1) a\n", "#",
  "# a\n", "=", "a\n=\n", "```\n", "```a\n", "```a\n```b\n```\n", "```a\n```\n",
  "~~~", "|", "|a", "|a|b|\n|-|-|\n", "|-", "a|b\n-|-\n", "&", "&amp;", "&#", "https://", "https://a.b/",
  "http://a.b/(", "a@b.c ", "mailto:", "www.a.", ":",
  "[a]: b\n", "[a]:\n", "[^1]: a\n", "[^1]:\n\n    a\n", "\u00a0", "\n", "\n\n", " \n", "\t", "\t- a\n", "a\n\n",
  "**注", "「**」", "\ud800", "\0", "\r", "\ufdd0", "- [ ] a\n", "- [x] ", "<br>", "a_",
];

test.each(UNITS)("%j repeated is read in linear time", (unit) => {
  const text = (size: number): string => unit.repeat(size / unit.length);
  expect(isLinear((size) => partsOf(text(size), newEnv()))).toBe(true);
  expect(isLinear((size) => lastBeginning(`a ${text(size)}`, newEnv()))).toBe(true);
});

test.each(UNITS.filter((unit) => unit.length > 1))("%j in pieces around other text is read in linear time", (unit) => {
  expect(isLinear((size) => htmlOf(`x${unit}y `.repeat(size / (unit.length + 3)), newEnv()))).toBe(true);
});

/** How many elements of HTML are around each other, at most. */
function depthOf(html: string): number {
  let [depth, deepest] = [0, 0];
  for (const [, isEnd, name] of html.matchAll(/<(\/?)([a-z]+[1-6]?)[^>]*>/g)) {
    if (["br", "hr", "img"].includes(name!)) continue;
    depth += isEnd ? -1 : 1;
    deepest = Math.max(deepest, depth);
  }
  return deepest;
}

const NESTED: [string, string][] = [
  ["*", "*"], ["**", "**"], ["_", "_"], ["~~", "~~"], ["*a ", " a*"], ["*a __b ", " b__ a*"], ["~~a *b ", " b* a~~"],
  ["[*a ", " a*](b)"], ["![*a ", " a*](b)"], ["> ", ""], ["- ", ""], ["1. - > ", ""], ["<b>", "</b>"], ["[^1", "]"],
];

test.each(NESTED)("%j in each other, as often as one likes, is not as deep in HTML", (open, close) => {
  // a browser takes quadratic time for formatting elements in each other
  for (const size of [1_000, 3_000]) {
    const text = `${open.repeat(size)}a${close.repeat(size)}`;
    expect(depthOf(htmlOf(text, newEnv()))).toBeLessThan(200);
    expect(depthOf(htmlOf(`[${text}](b)`, newEnv()))).toBeLessThan(200);
  }
});

test("emphasis that is too deep is text, and no sign of it is lost", () => {
  const html = htmlOf(`${"*a ".repeat(100)}b${" a*".repeat(100)}`, newEnv());
  expect(html.replace(/<[^>]*>/g, "").match(/\*/g)).toHaveLength(80);
  expect(html.match(/<em>/g)).toHaveLength(60);
});

const CODE = [
  '"', "'", "`", '"""', "/*", "//", "/", "/[", "/a[", "#", "<", "<!--", "<script>", "<script", "</", "<a b=", "$",
  "${", "{-", "--[[", "<#", "a", "aB(", "a-", "-a", "- ", ":", "a:", " a:", "@", "1", "1e", "\\", "\n", "\n ", "\n-",
  "**a", "[a](", "a =", "'a", "%", "&a", ".", "::", "  ",
];

test.each(Object.keys(LANGUAGES).map((names) => names.split(" ")[0]!))("code in %s is coloured in linear time", (name) => {
  const bad = CODE.filter((unit) => !isLinear((size) => highlighted(unit.repeat(size / unit.length), name)));
  expect(bad).toEqual([]);
});

test("a text in colours is the same text", () => {
  const code = 'a = "b" # c\n<!-- d --> <script>let e = `f`;</script> /* g';
  for (const names of Object.keys(LANGUAGES)) {
    expect(highlighted(code, names.split(" ")[0]!)!.map(([text]) => text).join("")).toBe(code);
  }
});

test.each([
  ["x", true], ["E = mc^2", true], ["2", true], ["a_1", true], ["\\alpha", true], ["n \\log n", true],
  ["α + β", true], ["x \\in \\mathbb{R}", true],
  ["5 (or 5", false], ["PATH:", false], ["148+ → ", true], ["10-", false], ["5 and you pay 10", false],
  ["HOME/", false], ["5 元，", false],
] as [string, boolean][])("%j between dollars", (content, expected) => {
  expect(looksLikeMaths(content)).toBe(expected);
});

test.each([
  // yzhang-gh/vscode-markdown#641, marktext/marktext#1930, atom-community/markdown-preview-plus#185
  ["| $\\ln|x| + C$ | b |", ["$\\ln|x| + C$", "b"]],
  ["| $P(A|B)$ | \\(|x|\\) |", ["$P(A|B)$", "\\(|x|\\)"]],
  ["$p(y|x)$|b", ["$p(y|x)$", "b"]],
  ["| $5 | $10 |", ["$5", "$10"]],
  ["|$5|$10|", ["$5", "$10"]],
  ["| $5/mo | 10$ |", ["$5/mo", "10$"]],
  ["| $x | $y | z |", ["$x", "$y | z"]],
] as [string, string[]][])("the cells of %j", (line, expected) => {
  expect(cellsOf(line, 2)).toEqual(expected);
});

test("a formula with a bar in it is one in a table", () => {
  const html = htmlOf("| a | b |\n|---|---|\n| $\\ln|x| + C$ | 2 |\n", newEnv());
  expect(html).toContain('<td><span class="maths" data-maths="$">\\ln|x| + C</span></td>');
  expect(html).toContain("<td>2</td>");
});

test.each(["$a|", "$a|$b|", "\\(|", "|$a$", "$a\\$|"])("a row of %j is read in linear time", (unit) => {
  expect(isLinear((size) => cellsOf(unit.repeat(size / unit.length), 2))).toBe(true);
});

test.each([
  ["the $i$th and the $(n-1)$th", 2], ["$n$-th, $2$nd", 0], ["$5th and $6th", 0], ["$PATH$thing", 0], ["$k$th$x", 1],
] as [string, number][])("%j has %d formulas with an ordinal", (text, count) => {
  const found = htmlOf(text, newEnv()).match(/<\/span>(?:th|st|nd|rd)/g) ?? [];
  expect(found).toHaveLength(count);
});

// Mintplex-Labs/anything-llm#5588, quantizor/markdown-to-jsx#827: the line before a list jumped while the list arrived
test("the line before a list is no heading while the list arrives", () => {
  const text = "Things to do:\n- one\n- two";
  for (let end = 1; end <= text.length; end++) {
    const arrived = partsOf(text.slice(0, end), newEnv(newEnv())).map(({ html }) => html).join("");
    expect(arrived).not.toMatch(/<h[1-6]/);
    expect(arrived).toContain(text.slice(0, Math.min(end, 13)).trim());
  }
});

test("the head of a table is no heading while the table arrives", () => {
  const text = "a | b\n---|---\n1 | 2";
  for (let end = 1; end <= text.length; end++) {
    expect(partsOf(text.slice(0, end), newEnv(newEnv())).map(({ html }) => html).join("")).not.toMatch(/<h[1-6]/);
  }
});

test("a line that is underlined is a heading", () => {
  expect(htmlOf("Title\n---\ntext\n", newEnv())).toBe('<h3 class="level2">Title</h3>\n<p>text</p>\n');
  expect(htmlOf("Title\n=====\n", newEnv())).toBe('<h2 class="level1">Title</h2>\n');
  expect(htmlOf("a | b\n---\n", newEnv())).toContain("<h3");
  expect(htmlOf("Sum\n-\n", newEnv())).toBe("<p>Sum<br>\n-</p>\n");
});
