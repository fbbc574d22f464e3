// Markdown-it is told of the characters that mark the places of claims in a text (claims.ts): they stand for nothing, so
// that what is around them means the same with them and without.
import type { MarkdownIt, StateInline } from "markdown-it";

const FIRST = 0xfdd0;
const LAST = 0xfdef;
export const PLACES = /[\ufdd0-\ufdef]/g;

const isPlace = (code: number): boolean => code >= FIRST && code <= LAST;

/** Characters at which a text may end and something else begin; the others are read at once. */
const TEXT = /[^\n!#$%&*+\-:<=>@[\\\]^_`{}~\ufdd0-\ufdef]+/y;

function text(state: StateInline, silent: boolean): boolean {
  TEXT.lastIndex = state.pos;
  const found = TEXT.exec(state.src)?.[0];
  if (!found) return false;
  const end = Math.min(state.pos + found.length, state.posMax);
  if (end === state.pos) return false;
  if (!silent) state.pending += state.src.slice(state.pos, end);
  state.pos = end;
  return true;
}

/** A place is a token of its own, so that an address behind it is one. */
function place(state: StateInline, silent: boolean): boolean {
  const begin = state.pos;
  let end = begin;
  while (end < state.posMax && isPlace(state.src.charCodeAt(end))) end++;
  if (end === begin) return false;
  if (!silent) state.push("place", "", 0).content = state.src.slice(begin, end);
  state.pos = end;
  return true;
}

/** The characters beside a position that are no place. */
export function before(text: string, position: number): number {
  let at = position - 1;
  while (at >= 0 && isPlace(text.charCodeAt(at))) at--;
  return at < 0 ? 32 : text.charCodeAt(at);
}

/** Whether there are places beside a position: else the text need not be looked at without them. */
function hasPlaces(state: StateInline, start: number, end: number): boolean {
  return isPlace(state.src.charCodeAt(start - 1)) || isPlace(state.src.charCodeAt(end));
}

export function places(md: MarkdownIt): void {
  md.inline.ruler.at("text", text);
  md.inline.ruler.before("text", "place", place);
  md.renderer.rules["place"] = (tokens, index) => tokens[index]!.content;
  const State = md.inline.State;
  md.inline.State = class extends State {
    override scanDelims(start: number, canSplitWord: boolean) {
      const marker = this.src.charCodeAt(start);
      let end = start;
      while (end < this.posMax && this.src.charCodeAt(end) === marker) end++;
      if (!hasPlaces(this, start, end)) return super.scanDelims(start, canSplitWord);
      return this.withoutPlaces(start, end, (from) => super.scanDelims(from, canSplitWord));
    }

    /** Scan in a short text that has what is beside the delimiters, and no places. */
    private withoutPlaces<T>(start: number, end: number, scan: (start: number) => T): T {
      const { src, posMax } = this;
      let from = start;
      while (from > 0 && isPlace(src.charCodeAt(from - 1))) from--;
      let to = end;
      while (to < posMax && isPlace(src.charCodeAt(to))) to++;
      const left = src.slice(Math.max(0, from - 4), from);
      const whole = left + src.slice(start, end) + src.slice(to, Math.min(to + 4, posMax));
      [this.src, this.posMax] = [whole, whole.length];
      try {
        return scan(left.length);
      } finally {
        [this.src, this.posMax] = [src, posMax];
      }
    }
  };
}
