// Formulas in Markdown: \( \), \[ \], $ $, $$ $$ and bare environments of LaTeX. They are found before anything in them can
// be taken for Markdown. "$5 and $10" are prices: a single dollar begins a formula only where what follows looks like one.
import type { MarkdownIt, RendererRule, StateBlock, StateInline } from "markdown-it";
import { before, PLACES } from "./places";

const LONGEST_INLINE = 2_000;
/** Of a formula in lines of its own. */
const MOST_LINES = 200;
const CLOSES: Record<string, string> = { "\\(": "\\)", "\\[": "\\]", "$$": "$$" };
const ORDINAL = /^(?:th|st|nd|rd)\b/;
const ENVIRONMENT = /^\\begin\{((?:equation|align|alignat|gather|multline|aligned|cases|[bpvV]?matrix|array|split)\*?)\}/;

/** Where a text has another one, found in linear time however often it is asked: the last finding is kept. */
class Finder {
  private from = 0;
  private found = -2;

  constructor(
    private readonly src: string,
    private readonly wanted: string,
  ) {}

  after(position: number): number {
    const isKnown = this.found !== -2 && position >= this.from && (this.found === -1 || this.found >= position);
    if (!isKnown) {
      this.found = this.src.indexOf(this.wanted, position);
      this.from = position;
    }
    return this.found;
  }
}

const finders = new WeakMap<object, Map<string, Finder>>();

function next(state: { src: string }, wanted: string, position: number): number {
  let known = finders.get(state);
  if (!known) finders.set(state, (known = new Map()));
  let finder = known.get(wanted);
  if (!finder) known.set(wanted, (finder = new Finder(state.src, wanted)));
  return finder.after(position);
}

/** Whether what stands between two single dollars is a formula, and no price or name of a variable. */
export function looksLikeMaths(content: string): boolean {
  if (/\\[a-zA-Z]|[\^{}]|[a-zA-Z)]_/.test(content)) return !/[\p{Script=Han}。，]/u.test(content);
  if (/[^\x20-\x7e\n\u0391-\u03c9\u2190-\u22ff×÷±·′]|[A-Za-z]{4}/.test(content)) return false;
  return !/^\d[\d.,]*(?:\s*[A-Za-z]{2}|\s+\S+\s+\S+\s+\S|\s*[(\[][A-Za-z]{2})/.test(content) && !/^[\d.,]+[-–]/.test(content);
}

/** Where the formula between single dollars ends that begins at a position; -1 where none does. */
function dollarEnd(src: string, pos: number, from: number): number {
  if (src[pos] !== "$" || src[pos + 1] === "$" || /[\w$\\]/.test(String.fromCharCode(before(src, pos)))) return -1;
  const rest = src[pos + 1];
  if (!rest || /\s/.test(rest)) return -1;
  let end = from;
  while (end > 0 && src[end - 1] === "\\" && end - pos < LONGEST_INLINE) end = src.indexOf("$", end + 1);
  if (end < 0 || end - pos > LONGEST_INLINE || /\s/.test(src[end - 1]!)) return -1;
  const content = src.slice(pos + 1, end);
  const isOrdinal = /[A-Za-z]/.test(content) && ORDINAL.test(src.slice(end + 1, end + 4)); // the $i$th
  if (/[\w$]/.test(src[end + 1] ?? "") && !isOrdinal) return -1;
  return content.includes("`") || !looksLikeMaths(content.replace(PLACES, "")) ? -1 : end;
}

/** A formula between single dollars. */
function dollar(state: StateInline, silent: boolean): boolean {
  const { src, pos, posMax } = state;
  if (src[pos] !== "$") return false;
  const end = dollarEnd(src, pos, next(state, "$", pos + 1));
  return end >= 0 && end < posMax && take(state, silent, "$", src.slice(pos + 1, end), end + 1);
}

/** The formula that begins at a position of a line, with its signs; undefined where none does. */
export function formulaAt(line: { src: string }, at: number): string | undefined {
  const { src } = line;
  if (src[at] === "$" && src[at + 1] !== "$") {
    const end = dollarEnd(src, at, next(line, "$", at + 1));
    return end < 0 ? undefined : src.slice(at, end + 1);
  }
  const closes = CLOSES[src.slice(at, at + 2)];
  const end = closes ? next(line, closes, at + 2) : -1;
  return end < 0 || end - at > LONGEST_INLINE ? undefined : src.slice(at, end + 2);
}

/** A formula between \( \), \[ \] or $$ $$. */
function delimited(state: StateInline, silent: boolean): boolean {
  const { src, pos, posMax } = state;
  const opens = src.slice(pos, pos + 2);
  const closes = CLOSES[opens];
  if (!closes) return false;
  const end = next(state, closes, pos + 2);
  if (end < 0 || end + 2 > posMax || end - pos > LONGEST_INLINE) return false;
  const content = src.slice(pos + 2, end);
  if (!content.trim() || content.includes("\n\n") || (opens === "$$" && content.startsWith("$"))) return false;
  return take(state, silent, opens, content, end + 2);
}

function take(state: StateInline, silent: boolean, kind: string, content: string, end: number): boolean {
  if (!silent) {
    const token = state.push("maths", "", 0);
    token.content = content;
    token.markup = kind;
  }
  state.pos = end;
  return true;
}

/** A formula in lines of its own. */
function block(state: StateBlock, startLine: number, endLine: number, silent: boolean): boolean {
  const begin = state.bMarks[startLine]! + state.tShift[startLine]!;
  if (state.sCount[startLine]! - state.blkIndent >= 4) return false;
  const opens = state.src.slice(begin, begin + 2);
  const environment = opens === "\\b" ? ENVIRONMENT.exec(state.src.slice(begin, begin + 30))?.[1] : undefined;
  const closes = environment ? `\\end{${environment}}` : opens === "\\(" ? undefined : CLOSES[opens];
  if (!closes) return false;
  const close = next(state, closes, begin + 2);
  const last = close < 0 ? -1 : lineOf(state, startLine, endLine, close);
  if (last < 0) return close < 0 && mayClose(state, startLine, endLine, silent);
  const behind = close + closes.length;
  if (state.src.slice(behind, state.eMarks[last]!).replace(PLACES, "").trim()) return false; // a part of a sentence
  if (silent) return true;
  const lines = state.getLines(startLine, last + 1, state.blkIndent, false).trim();
  const end = lines.lastIndexOf(closes);
  const token = state.push("maths_block", "", 0);
  token.content = environment ? lines : lines.slice(2, end) + lines.slice(end + 2);
  token.markup = environment ? "" : opens;
  token.map = [startLine, last + 1];
  state.line = last + 1;
  return true;
}

/** A formula whose end may still arrive: nothing in it is a block of its own. */
function mayClose(state: StateBlock, startLine: number, endLine: number, silent: boolean): boolean {
  if (!state.env["hasMore"] || lineOf(state, startLine, endLine, state.eMarks[endLine - 1]! - 1) < 0) return false;
  if (silent) return true;
  const token = state.push("maths_open", "", 0);
  token.content = state.getLines(startLine, endLine, state.blkIndent, false).trim();
  token.map = [startLine, endLine];
  state.line = endLine;
  return true;
}

/** The line of a position, if all lines up to it are of this block; else -1. */
function lineOf(state: StateBlock, startLine: number, endLine: number, position: number): number {
  for (let line = startLine; line < Math.min(endLine, startLine + MOST_LINES); line++) {
    if (state.isEmpty(line) || state.sCount[line]! < state.blkIndent) return -1;
    if (position < state.eMarks[line]!) return position >= state.bMarks[line]! ? line : -1;
  }
  return -1;
}

export function maths(md: MarkdownIt): void {
  md.inline.ruler.before("escape", "maths", delimited);
  md.inline.ruler.after("maths", "dollar", dollar);
  md.block.ruler.before("fence", "maths_block", block, { alt: ["paragraph", "reference", "blockquote", "list"] });
  const html =
    (tag: string): RendererRule =>
    (tokens, index) => {
      const { content, markup } = tokens[index]!;
      return `<${tag} class="maths" data-maths="${markup}">${md.utils.escapeHtml(content)}</${tag}>`;
    };
  md.renderer.rules["maths"] = html("span");
  md.renderer.rules["maths_open"] = (tokens, index) => `<p>${md.utils.escapeHtml(tokens[index]!.content)}</p>`;
  md.renderer.rules["maths_block"] = html("div");
}
