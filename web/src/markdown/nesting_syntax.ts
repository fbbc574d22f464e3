// How deep emphasis may be: a browser takes quadratic time to read formatting elements in each other.
import type { MarkdownIt, StateInline } from "markdown-it";

const DEEPEST = 60; // as blocks may be

/** A sign that may begin or end emphasis. end: the place of the one that ends it, -1 for none. */
type Delimiter = StateInline["delimiters"][number];

/** The signs of emphasis that is in too much other emphasis are text. */
function limited(delimiters: Delimiter[]): void {
  const ends: number[] = []; // of the emphasis around
  delimiters.forEach((delimiter, place) => {
    while (ends.length && ends.at(-1)! <= place) ends.pop();
    if (delimiter.end < 0) return;
    if (ends.length < DEEPEST) ends.push(delimiter.end);
    else delimiter.end = -1;
  });
}

export function nesting(md: MarkdownIt): void {
  md.inline.ruler2.after("balance_pairs", "nesting", (state) => {
    limited(state.delimiters);
    for (const meta of state.tokens_meta) if (meta?.delimiters) limited(meta.delimiters); // in links
    return false;
  });
}
