// Footnotes: "[^1]" where "[^1]: text" is somewhere in the answer. The text stays where it was written; the mark leads to it.
import type { Env, MarkdownIt, StateBlock, StateInline } from "markdown-it";
import { parseWithin } from "./html_syntax";

const MARK = /\[\^([^\s[\]^\ufdd0-\ufdef]{1,60})\]/y;
const BEGINS = /^\[\^([^\s[\]^\ufdd0-\ufdef]{1,60})\]:[ \t]*/;

/** The labels of the footnotes that an answer has. */
export function notesOf(env: Env): Record<string, true> {
  return (env["notes"] ??= Object.create(null)) as Record<string, true>;
}

function mark(state: StateInline, silent: boolean): boolean {
  if (state.src[state.pos] !== "[" || state.src[state.pos + 1] !== "^") return false;
  MARK.lastIndex = state.pos;
  const found = MARK.exec(state.src);
  if (!found || !(`n${found[1]!}` in notesOf(state.env)) || MARK.lastIndex > state.posMax) return false;
  if (!silent) state.push("note_mark", "", 0).content = found[1]!;
  state.pos += found[0].length;
  return true;
}

function note(state: StateBlock, startLine: number, endLine: number, silent: boolean): boolean {
  const begin = state.bMarks[startLine]! + state.tShift[startLine]!;
  if (state.sCount[startLine]! - state.blkIndent >= 4 || state.level > 0) return false;
  const found = BEGINS.exec(state.src.slice(begin, Math.min(begin + 80, state.eMarks[startLine]!)));
  if (!found) return false;
  if (silent) return true;
  let line = startLine + 1;
  while (line < endLine && (state.isEmpty(line) || state.sCount[line]! - state.blkIndent >= 2)) line++;
  while (state.isEmpty(line - 1)) line--;
  const text = [state.src.slice(begin + found[0].length, state.eMarks[startLine]!)];
  for (let each = startLine + 1; each < line; each++) {
    text.push(state.getLines(each, each + 1, Math.min(state.sCount[each]!, state.blkIndent + 4), false));
  }
  const label = found[1]!;
  notesOf(state.env)[`n${label}`] = true;
  const opens = state.push("note_open", "div", 1);
  opens.map = [startLine, line];
  opens.content = label;
  parseWithin(state, text.join("\n"));
  state.push("note_close", "div", -1);
  state.line = line;
  return true;
}

export function notes(md: MarkdownIt): void {
  const written = (label: string): string => md.utils.escapeHtml(label);
  md.inline.ruler.before("link", "note_mark", mark);
  md.block.ruler.before("reference", "note", note, { alt: ["paragraph", "reference", "blockquote", "list"] });
  md.renderer.rules["note_mark"] = (tokens, index) => {
    const label = written(tokens[index]!.content);
    return `<sup><a class="to" data-to="note-${label}">[${label}]</a></sup>`;
  };
  md.renderer.rules["note_open"] = (tokens, index) => {
    const label = written(tokens[index]!.content);
    return `<div class="note" data-name="note-${label}" role="note"><span class="label">${label}</span><div>`;
  };
  md.renderer.rules["note_close"] = () => "</div></div>\n";
}
