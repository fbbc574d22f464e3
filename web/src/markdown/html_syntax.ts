// The little HTML that models write for people: <br>, <sub>2</sub>, and <details> with a <summary>. Any other tag is text.
import type { MarkdownIt, StateBlock, StateInline } from "markdown-it";

const BREAK = /<br\s{0,3}\/?>/iy;
const PAIR = /<(sub|sup|kbd|mark|u|b|i|em|strong)>([^<\n]{1,200})<\/\1>/iy;
const DETAILS = /^<details( open)?>/i;
const SUMMARY = /^\s{0,50}<summary>([^\n]{0,1000}?)<\/summary>/i;
const MOST_NESTED = 3;

function matched(pattern: RegExp, state: StateInline): RegExpExecArray | undefined {
  pattern.lastIndex = state.pos;
  const found = pattern.exec(state.src);
  return found && found.index + found[0].length <= state.posMax ? found : undefined;
}

function tag(state: StateInline, silent: boolean): boolean {
  if (state.src[state.pos] !== "<") return false;
  const lineEnd = matched(BREAK, state);
  const pair = lineEnd ? undefined : matched(PAIR, state);
  const found = lineEnd ?? pair;
  if (!found) return false;
  if (!silent) {
    if (pair) {
      const name = pair[1]!.toLowerCase();
      state.push("pair_open", name, 1);
      state.push("text", "", 0).content = pair[2]!;
      state.push("pair_close", name, -1);
    } else state.push("hardbreak", "br", 0);
  }
  state.pos += found[0].length;
  return true;
}

/** <details>: to its end tag, or as long as that has not come to the end of the text. */
function details(state: StateBlock, startLine: number, endLine: number, silent: boolean): boolean {
  const depth = (state.env["details"] as number | undefined) ?? 0;
  const begin = state.bMarks[startLine]! + state.tShift[startLine]!;
  if (state.sCount[startLine]! - state.blkIndent >= 4 || depth >= MOST_NESTED) return false;
  const opens = DETAILS.exec(state.src.slice(begin, begin + 20));
  if (!opens) return false;
  if (silent) return true;
  let line = startLine;
  let open = 0;
  let isClosed = false;
  for (; line < endLine && !isClosed; line++) {
    if (line > startLine && !state.isEmpty(line) && state.sCount[line]! < state.blkIndent) break;
    for (const [each] of state.src.slice(state.bMarks[line]!, state.eMarks[line]!).matchAll(/<(\/?)details\b/gi)) {
      open += each[1] === "/" ? -1 : 1;
    }
    isClosed = open <= 0;
  }
  const whole = state.getLines(startLine, line, state.blkIndent, false).trimStart().slice(opens[0].length);
  const end = isClosed ? whole.toLowerCase().lastIndexOf("</details") : whole.length;
  put(state, whole.slice(0, end), [startLine, line], Boolean(opens[1]) || !isClosed);
  const behind = whole.slice(end).replace(/^<\/details\s*>?/i, "");
  if (behind.trim()) parseWithin(state, behind);
  state.line = line;
  return true;
}

function put(state: StateBlock, whole: string, map: [number, number], isOpen: boolean): void {
  const summary = SUMMARY.exec(whole);
  const begins = state.push("details_open", "details", 1);
  begins.map = map;
  if (isOpen) begins.attrSet("open", "");
  state.push("summary_open", "summary", 1);
  const said = state.push("inline", "", 0);
  said.content = summary?.[1]?.trim() || "…";
  said.children = [];
  state.push("summary_close", "summary", -1);
  const depth = (state.env["details"] as number | undefined) ?? 0;
  state.env["details"] = depth + 1;
  parseWithin(state, whole.slice(summary?.[0].length ?? 0));
  state.env["details"] = depth;
  state.push("details_close", "details", -1);
}

/** Blocks that are a part of another one. */
export function parseWithin(state: StateBlock, text: string): void {
  const begin = state.tokens.length;
  state.md.block.parse(text, state.md, state.env, state.tokens);
  for (const token of state.tokens.slice(begin)) token.level += state.level + 1;
}

export function html(md: MarkdownIt): void {
  md.inline.ruler.before("autolink", "html_tag", tag);
  md.block.ruler.before("fence", "details", details, { alt: ["paragraph", "reference", "blockquote", "list"] });
}
