// Headings that are underlined. While "Intro:\n- a list" arrives, "-" is no underline yet, nor "---" that of a table.
import type { MarkdownIt, StateBlock } from "markdown-it";

type Rule = (state: StateBlock, startLine: number, endLine: number, silent: boolean) => boolean;

const SHORTEST = 3;

export function headings(md: MarkdownIt): void {
  const { __rules__ } = md.block.ruler as unknown as { __rules__: { name: string; fn: Rule }[] };
  const heading = __rules__.find((rule) => rule.name === "lheading")!.fn;
  md.block.ruler.at("lheading", (state, startLine, endLine, silent) => {
    const begin = state.tokens.length;
    if (!heading(state, startLine, endLine, silent)) return false;
    if (isUnderlined(state, startLine)) return true;
    state.tokens.length = begin;
    state.line = startLine;
    return false;
  });
}

/** Whether the last line of what was found underlines the others. */
function isUnderlined(state: StateBlock, startLine: number): boolean {
  const line = state.line - 1;
  const underline = state.src.slice(state.bMarks[line]! + state.tShift[line]!, state.eMarks[line]!).trim();
  if (underline.length < SHORTEST) return false;
  const mayBeTable = state.env["hasMore"] && state.eMarks[line]! + 1 >= state.src.length;
  return !mayBeTable || !state.src.slice(state.bMarks[startLine]!, state.bMarks[line]!).includes("|");
}
