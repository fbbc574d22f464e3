// Where the sentences of an answer stand in it, and how they are found again in the HTML that is made of it.
import type { Citation } from "./api";

/** A sentence of an answer, with what is said of it and each source that it cites. start, end: as JavaScript counts. */
export interface Claim {
  start: number;
  end: number;
  citations: Citation[];
}

// Characters that stand for nothing (Unicode calls them noncharacters) mark the places in the Markdown: no text has
// them, and Markdown gives them no meaning.
const [BEGIN, END] = ["\ufdd0", "\ufdd1"];
const DIGIT = 0xfde0;
const ALL = /[\ufdd0-\ufdef]/g;
/** The same in an address, where they are percent-encoded. */
const ALL_IN_ADDRESS = /%EF%B7%[9A][0-9A-F]|[\ufdd0-\ufdef]/gi;
const MARK = /\ufdd0([\ufde0-\ufdef]{4})|\ufdd1/g;
const SYNTAX = /[*_~`\s]/;
/** What stands before the text of a line: a place in it would make a text of it. */
const LINE_BEGINS = /(?:[ \t]*(?:>|[-+*][ \t]|\d{1,9}[.)][ \t]|#{1,6}[ \t]|\[[ xX]\][ \t]|\||\[\^[^\s\]]{1,60}\]:))*[ \t]*/y;

/** The sentences, in their order. What is not where it is said to be is looked for, and left out if it is nowhere. */
export function claimsIn(text: string, citations: Citation[]): Claim[] {
  const claims: Claim[] = [];
  const unit = unitOf(text);
  for (const citation of citations) {
    const last = claims.at(-1);
    if (last?.citations[0]!.start === citation.start && last.citations[0]!.end === citation.end) {
      last.citations.push(citation);
      continue;
    }
    const from = last?.end ?? 0;
    let start = unit(citation.start);
    if (start < from || !text.startsWith(citation.sentence, start)) start = text.indexOf(citation.sentence, from);
    if (start < 0 || !citation.sentence) continue;
    claims.push({ start, end: start + citation.sentence.length, citations: [citation] });
  }
  return claims.slice(0, 0xffff);
}

/** How JavaScript counts a place that counts whole characters: some are two of its units. */
function unitOf(text: string): (place: number) => number {
  if (!/[\ud800-\udbff]/.test(text)) return (place) => place;
  const starts: number[] = [];
  let unit = 0;
  for (const character of text) {
    starts.push(unit);
    unit += character.length;
  }
  return (place) => starts[place] ?? unit;
}

/** The Markdown with the places of the claims in it, where they can't be taken for a part of its syntax. */
export function withPlaces(text: string, claims: Claim[]): string {
  const clean = text.replace(ALL, "\ufffd");
  const parts: string[] = [];
  let done = 0;
  claims.forEach((claim, index) => {
    let { start, end } = claim;
    start = behindSyntax(clean, start, end);
    while (end > start && SYNTAX.test(clean[end - 1]!)) end--;
    parts.push(clean.slice(done, start), BEGIN!, digits(index), clean.slice(start, end), END!);
    done = end;
  });
  return parts.join("") + clean.slice(done);
}

function behindSyntax(text: string, start: number, end: number): number {
  let at = start;
  const line = text.lastIndexOf("\n", start - 1) + 1;
  if (!text.slice(line, start).trim() || start - line < 80) {
    LINE_BEGINS.lastIndex = line;
    LINE_BEGINS.test(text);
    at = Math.min(Math.max(start, LINE_BEGINS.lastIndex), end);
  }
  while (at < end && SYNTAX.test(text[at]!)) at++;
  return at;
}

function digits(index: number): string {
  const hex = index.toString(16).padStart(4, "0");
  return String.fromCharCode(...Array.from(hex, (digit) => DIGIT + parseInt(digit, 16)));
}

/** A piece of text in the HTML. claim: the index of the claim that it is a part of. owner: that of the last claim which
 * has begun before it. */
export interface Piece {
  text: string;
  claim: number | undefined;
  owner: number | undefined;
}

/** The sentence that goes on at the end of a text, and the last one that has begun in it. */
export interface Reached {
  claim?: number | undefined;
  owner?: number | undefined;
}

export function hasPlaces(source: string): boolean {
  return source.includes(BEGIN!) || source.includes(END!);
}

/** What is reached behind the Markdown of a block. */
export function reachedAfter(source: string, { claim, owner }: Reached): Reached {
  for (const mark of source.matchAll(MARK)) {
    claim = mark[1] === undefined ? undefined : valueOf(mark[1]);
    owner = claim ?? owner;
  }
  return { claim, owner };
}

/** Take the places out of a tree, and call `put` with each text in it, cut at them. */
export function eachText(root: Element, { claim, owner }: Reached, put: (node: Text, pieces: Piece[]) => void): void {
  for (const node of root.querySelectorAll("[href], [title], [alt], [src]")) {
    for (const { name, value } of [...node.attributes]) node.setAttribute(name, value.replace(ALL_IN_ADDRESS, ""));
  }
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  const nodes: Text[] = [];
  while (walker.nextNode()) nodes.push(walker.currentNode as Text);
  for (const node of nodes) {
    const pieces: Piece[] = [];
    let done = 0;
    for (const mark of node.data.matchAll(MARK)) {
      pieces.push({ text: node.data.slice(done, mark.index), claim, owner });
      claim = mark[1] === undefined ? undefined : valueOf(mark[1]);
      owner = claim ?? owner;
      done = mark.index + mark[0].length;
    }
    pieces.push({ text: node.data.slice(done), claim, owner });
    put(node, pieces.filter((piece) => piece.text));
  }
}

function valueOf(written: string): number {
  return Array.from(written).reduce((value, digit) => value * 16 + digit.charCodeAt(0) - DIGIT, 0);
}
