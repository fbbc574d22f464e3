// Markdown as models write it, to HTML. No text is taken for HTML but what html_syntax.ts knows; no tag, bracket or dollar
// of a text is lost.
import MarkdownIt, { type Env, type StateCore, type Token } from "markdown-it";
import cjkFriendly from "markdown-it-cjk-friendly";
import { fences } from "./fences_syntax";
import { headings } from "./headings_syntax";
import { html } from "./html_syntax";
import { maths } from "./maths_syntax";
import { nesting } from "./nesting_syntax";
import { notes, notesOf } from "./notes_syntax";
import { places } from "./places";
import { tables } from "./tables_syntax";

export type { Env };

const parser = MarkdownIt({ html: false, breaks: true, linkify: true, typographer: false, maxNesting: 60 });
parser.linkify.set({ fuzzyLink: false, fuzzyEmail: false, fuzzyIP: false }); // main.py and README.md are no addresses
parser.normalizeLinkText = (address) => address; // as it was written
parser.use(cjkFriendly).use(places).use(fences).use(headings).use(tables).use(maths).use(html).use(notes).use(nesting);
parser.core.ruler.push("page", forThePage);

const TASK = /^\[([ xX])\](?:\s|$)/;

/** What the page wants otherwise: its own h1 is the only one, and no style is inline. */
function forThePage(state: StateCore): void {
  state.tokens.forEach((token, index) => {
    if (/^h[1-6]$/.test(token.tag)) {
      if (token.nesting > 0) token.attrSet("class", `level${token.tag[1]}`);
      token.tag = `h${Math.min(6, Number(token.tag[1]) + 1)}`;
    }
    const style = token.attrGet("style");
    if (style) token.attrs = [["class", String(style).replace("text-align:", "to-")]];
    if (token.type === "inline" && state.tokens[index - 2]?.type === "list_item_open") task(token, state.tokens[index - 2]!);
  });
}

/** "[ ] to do" and "[x] done" at the beginning of an item. */
function task(inline: Token, item: Token): void {
  const first = inline.children?.[0];
  const found = first?.type === "text" ? TASK.exec(first.content) : null;
  if (!first || !found) return;
  first.content = first.content.slice(found[0].length);
  item.attrSet("class", found[1] === " " ? "task" : "task done");
}

const rules = parser.renderer.rules;
const escaped = parser.utils.escapeHtml;

rules["table_open"] = () => '<div class="table" tabindex="0"><table>\n';
rules["table_close"] = () => "</table></div>\n";
rules["fence"] = (tokens, index) => code(tokens[index]!.content, tokens[index]!.info);
rules["code_block"] = (tokens, index) => code(tokens[index]!.content, "");
rules["image"] = (tokens, index) => {
  const token = tokens[index]!;
  const [source, alt] = [String(token.attrGet("src") ?? ""), parser.renderer.renderInlineAsText(token.children ?? [], parser.options, {})];
  if (/^data:image\//i.test(source)) return `<img src="${escaped(source)}" alt="${escaped(alt)}">`;
  return `<a class="image" href="${escaped(source)}">${escaped(alt || source)}</a>`;
};

function code(content: string, info: string): string {
  const language = info.trim().split(/[\s,{]/)[0]!.replace(/[\ufdd0-\ufdef]/g, "").slice(0, 40);
  if (language.toLowerCase() === "math") return `<div class="maths" data-maths="">${escaped(content)}</div>`;
  return `<div class="code" data-language="${escaped(language)}"><pre tabindex="0" dir="ltr"><code>${escaped(content)}</code></pre></div>\n`;
}

/** A block of a text that no other is around: a paragraph, a list. */
export interface Part {
  source: string;
  html: string;
}

/** What is defined in a text for all of it: addresses of links, and footnotes. outer: that of the text before it, which
 * does not learn of it, since more of this one may come. */
export function newEnv(outer?: Env): Env {
  return {
    hasMore: outer !== undefined,
    references: Object.create(outer?.references ?? null) as NonNullable<Env["references"]>,
    notes: Object.create(outer ? notesOf(outer) : null) as unknown,
  };
}

/** How many there are. */
export function definedIn(env: Env): number {
  return Object.keys(env.references ?? {}).length + Object.keys(notesOf(env)).length;
}

/** The tokens of each block of a text. */
function groups(tokens: Token[]): Token[][] {
  const made: Token[][] = [];
  for (const token of tokens) {
    if (token.level === 0 && token.nesting >= 0 && token.map) made.push([]);
    made.at(-1)?.push(token);
  }
  return made;
}

/** Where they begin in it. What is before the first is of the first. */
function beginnings(text: string, blocks: Token[][]): number[] {
  let [line, start] = [0, 0];
  return blocks.map(([first], index) => {
    for (; line < first!.map![0]; line++) start = text.indexOf("\n", start) + 1;
    return index ? start : 0;
  });
}

/** Where the last block of a text begins, which may go on. Takes definitions into env. */
export function lastBeginning(text: string, env: Env): number {
  const tokens: Token[] = [];
  parser.block.parse(text, parser, env, tokens);
  const blocks = groups(tokens);
  const starts = beginnings(text, blocks);
  const isBehindText = blocks.at(-1)?.[0]!.type === "maths_open" && text[starts.at(-1)! - 2] !== "\n";
  return starts.at(isBehindText ? -2 : -1) ?? 0; // which it is a part of, if it is no formula
}

/** The blocks of a text, whose lines end with \n. Footnotes and addresses that it names and does not have are in env. */
export function partsOf(text: string, env: Env): Part[] {
  const blocks = groups(parser.parse(text, env));
  const starts = beginnings(text, blocks);
  const parts = blocks.map((tokens, index) => ({
    source: text.slice(starts[index], starts[index + 1] ?? text.length),
    html: parser.renderer.render(tokens, parser.options, env),
  }));
  return parts.filter((part) => part.html); // a definition is not shown
}

/** One block as HTML. */
export function htmlOf(source: string, env: Env): string {
  return parser.render(source, env);
}
