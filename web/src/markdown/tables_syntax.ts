// Rows of tables: a "|" in code or in a formula is no border, and no cell is dropped that has no column.
import type { MarkdownIt, StateBlock, Token } from "markdown-it";
import { formulaAt } from "./maths_syntax";

type Rule = (state: StateBlock, startLine: number, endLine: number, silent: boolean) => boolean;

const LONGEST = 10_000;

/** The cells of a row; undefined where markdown-it is right. A "|" in a formula is no border where there are too many. */
export function cellsOf(line: string, columns: number): string[] | undefined {
  if (line.length > LONGEST || !line.includes("|")) return undefined;
  const row = line.trim().replace(/^\|/, "");
  const state = { src: row };
  const cells = split(row, (at) => codeAt(row, at));
  if (cells.length <= columns) return cells;
  const withFormulas = split(row, (at) => formulaAt(state, at) ?? codeAt(row, at));
  if (withFormulas.length === columns) return withFormulas;
  return [...cells.slice(0, columns - 1), cells.slice(columns - 1).join(" | ")];
}

/** The parts of a row between its borders. takenAt: what is one at a position, whatever it has in it. */
function split(row: string, takenAt: (at: number) => string): string[] {
  const cells: string[] = [];
  let cell = "";
  for (let at = 0; at < row.length; at++) {
    const character = row[at]!;
    if (character === "\\" && row[at + 1] === "|") {
      cell += "|";
      at++;
    } else if (character === "|") {
      cells.push(cell.trim());
      cell = "";
    } else {
      const taken = takenAt(at);
      cell += taken.replaceAll("\\|", "|");
      at += taken.length - 1;
    }
  }
  if (cell.trim() || !row.endsWith("|")) cells.push(cell.trim());
  return cells;
}

/** Code from its first ` to its last, or the first ones where it is none. */
function codeAt(row: string, begin: number): string {
  if (row[begin] !== "`") return row[begin]!;
  const ticks = /`+/y;
  ticks.lastIndex = begin;
  const opens = ticks.exec(row)![0];
  let end = row.indexOf(opens, begin + opens.length);
  while (end >= 0 && row[end + opens.length] === "`") {
    ticks.lastIndex = end;
    end = row.indexOf(opens, end + ticks.exec(row)![0].length);
  }
  return end < 0 ? opens : row.slice(begin, end + opens.length);
}

export function tables(md: MarkdownIt): void {
  const { __rules__ } = md.block.ruler as unknown as { __rules__: { name: string; fn: Rule }[] };
  const table = __rules__.find((rule) => rule.name === "table")!.fn;
  const withAllCells: Rule = (state, startLine, endLine, silent) => {
    const begin = state.tokens.length;
    if (!table(state, startLine, endLine, silent)) return false;
    if (!silent) correct(state, startLine, state.tokens.slice(begin));
    return true;
  };
  md.block.ruler.at("table", withAllCells, { alt: ["paragraph", "reference"] });
}

function correct(state: StateBlock, startLine: number, tokens: Token[]): void {
  const columns = tokens.filter((token) => token.type === "th_open").length;
  let line = startLine + 1;
  let cells: string[] | undefined;
  let column = 0;
  tokens.forEach((token, index) => {
    if (token.type === "tr_open" && line++ > startLine + 1) {
      cells = cellsOf(state.src.slice(state.bMarks[line - 1]! + state.tShift[line - 1]!, state.eMarks[line - 1]!), columns);
      column = 0;
    } else if (token.type === "td_open") {
      const text = cells?.[column++];
      if (text !== undefined) tokens[index + 1]!.content = text;
    }
  });
}
