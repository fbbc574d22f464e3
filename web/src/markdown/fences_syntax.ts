// Fences in fences: models put a Markdown document into a fence, and the document has fences of its own. Markdown ends the
// outer one at the first fence without a language, which is the end of the inner one.
import type { MarkdownIt, StateBlock } from "markdown-it";

type Rule = (state: StateBlock, startLine: number, endLine: number, silent: boolean) => boolean;

const MOST_INDENTED = 3;
const LANGUAGE = /^[\w+#.-]{1,30}$/;

/** Texts whose fences do not come in pairs: they are read as Markdown has it, and not looked through again. */
const unpaired = new WeakSet<StateBlock>();

/** A fence: how long it is, and whether it says what follows. */
interface Fence {
  length: number;
  opens: boolean;
}

/** The fence that a line is. marker: the character of the outer one. */
function fenceIn(state: StateBlock, line: number, marker: string): Fence | undefined {
  if (state.sCount[line]! - state.blkIndent > MOST_INDENTED) return undefined;
  const text = state.src.slice(state.bMarks[line]! + state.tShift[line]!, state.eMarks[line]!);
  let length = 0;
  while (text[length] === marker) length++;
  const said = text.slice(length).trim();
  if (length < 3 || (said && !LANGUAGE.test(said.split(/[\s{]/, 1)[0]!))) return undefined;
  return { length, opens: said !== "" };
}

/** The line of the fence that ends an outer one; undefined where none does. hasInner: whether others are in it. */
function endOf(state: StateBlock, startLine: number, endLine: number, markup: string): { line: number; hasInner: boolean; isEnd: boolean } {
  const open = [markup.length];
  let hasInner = false;
  let line = startLine + 1;
  for (; line < endLine; line++) {
    const isBlank = state.bMarks[line]! + state.tShift[line]! >= state.eMarks[line]!;
    if (!isBlank && state.sCount[line]! < state.blkIndent) break; // the list or quotation around it ends
    const fence = fenceIn(state, line, markup[0]!);
    if (!fence) continue;
    if (fence.opens && fence.length >= markup.length) {
      open.push(fence.length);
      hasInner = true;
    } else if (!fence.opens && fence.length >= open.at(-1)!) open.pop();
    if (!open.length) return { line, hasInner, isEnd: true };
  }
  return { line, hasInner, isEnd: false };
}

export function fences(md: MarkdownIt): void {
  const { __rules__ } = md.block.ruler as unknown as { __rules__: { name: string; fn: Rule }[] };
  const fence = __rules__.find((rule) => rule.name === "fence")!.fn;
  const withInner: Rule = (state, startLine, endLine, silent) => {
    if (!fence(state, startLine, endLine, silent)) return false;
    if (!silent && !unpaired.has(state)) extend(state, startLine, endLine);
    return true;
  };
  md.block.ruler.at("fence", withInner, { alt: ["paragraph", "reference", "blockquote", "list"] });
}

/** Give the code that was found what its inner fences have cut off. While more of the text comes, all of it may be in. */
function extend(state: StateBlock, startLine: number, endLine: number): void {
  const token = state.tokens.at(-1)!;
  const { line, hasInner, isEnd } = endOf(state, startLine, endLine, token.markup);
  if (!hasInner) return;
  if (!isEnd && !state.env.hasMore) {
    unpaired.add(state);
    return;
  }
  token.content = state.getLines(startLine + 1, line, state.sCount[startLine]!, true);
  state.line = isEnd ? line + 1 : line;
  token.map = [startLine, state.line];
}
