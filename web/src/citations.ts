// What the sources say of an answer: a mark on each sentence, and a card with the passage of the source.
import type { Citation, Verdict } from "./api";
import { type Claim, claimsIn, eachText, hasPlaces, type Piece, type Reached, reachedAfter, withPlaces } from "./claims";
import { element } from "./dom";
import { addressView, showsCard } from "./source_card";
import { visible } from "./texts";
import { t } from "./words";

const VERDICTS: Verdict[] = ["supported", "weak", "not found", "no source"];
const SHORT: Record<Verdict, string> = {
  supported: t.supported,
  weak: t.weak,
  "not found": t.notFound,
  "no source": t.noSourceHere,
};
/** As an answer cites: "[3]", "[3, 4]", "[3-5]", "[^3]", "[^3^]", "[source 3]", "[citation:3]", "[3, p. 7]", "【3†L5】". */
const LABEL = String.raw`(?:(?:sources?|ref(?:erence)?s?|cit(?:e|ations?)|doc(?:ument)?s?|id)[\s:]|(?:来源|引用|资料|文档|出典)[\s:：]?)`;
const CITES = new RegExp(
  String.raw`[[【［〔]\s?(?:${LABEL}\s?)?\^?(\d{1,6}\^?(?:\s?(?:[-–—,，、;&]|\band\b)\s?\^?\d{1,6}\^?){0,29})` +
    String.raw`(?:(?:[,;]\s?[a-z]{1,7}\.?|[,;]?\s?(?:pp?\.|§{1,2}))\s?\d[\d\s–—,-]{0,20})?(?:†[^】\]\n]{0,40})?\s?[\]】］〕]`,
  "gi",
);
const LONGEST_RANGE = 20;

/** The marks of an answer, whose blocks are drawn one after the other. */
export class Citing {
  /** The Markdown with the places of the sentences in it. */
  readonly marked: string;
  private readonly marks: Marks[];
  private reached: Reached = {};

  constructor(text: string, citations: Citation[]) {
    const claims = claimsIn(text, citations);
    this.marked = claims.length ? withPlaces(text, claims) : text;
    this.marks = claims.map((claim) => new Marks(claim));
  }

  /** Whether the next block has marks. source: its Markdown. */
  isCited(source: string): boolean {
    const { claim, owner } = this.reached;
    return hasPlaces(source) || claim !== undefined || (owner !== undefined && /[[【［〔]/.test(source));
  }

  /** Put the marks into the next block that has some. */
  mark(root: Element, source: string): void {
    eachText(root, this.reached, (node, pieces) => put(node, pieces, this.marks));
    this.reached = reachedAfter(source, this.reached);
  }

  /** All blocks are drawn. */
  complete(): void {
    for (const each of this.marks) each.complete();
  }
}

/** The marks of one sentence. */
class Marks {
  private readonly shown = new Set<number>();
  /** What of it is the last in the text. */
  private last: HTMLElement | undefined;

  constructor(private readonly claim: Claim) {}

  /** A part of the sentence. */
  part(text: string): HTMLElement {
    const made = element("span", "claim", ...this.linked(text));
    const [best] = [...this.claim.citations].sort((a, b) => rank(a) - rank(b));
    made.dataset["verdict"] = best!.verdict;
    if (best!.source === null) showsCard(made, best!, true);
    this.last = made;
    return made;
  }

  /** A text in or behind the sentence, with a button for each mark in it. */
  linked(text: string): (Node | string)[] {
    const made: (Node | string)[] = [];
    let done = 0;
    for (const mark of text.matchAll(CITES)) {
      const buttons = this.buttonsFor(mark[1]!);
      if (!buttons.length) continue;
      made.push(text.slice(done, mark.index), ...buttons);
      done = mark.index + mark[0].length;
    }
    return [...made, text.slice(done)].filter((each) => each !== "");
  }

  /** What stands in place of a mark: nothing where it is none. */
  buttonsFor(written: string): (Node | string)[] {
    const cited = numbersIn(written).map((number) => this.claim.citations.find((each) => each.source === number) ?? number);
    if (cited.every((each) => typeof each === "number")) return [];
    return cited.map((each) => (typeof each === "number" ? `[${each}]` : this.button(each)));
  }

  /** The button of a source that the sentence does not name: one that its paragraph cites further on, or a link. */
  private added(citation: Citation): HTMLElement {
    const made = this.button(citation);
    made.classList.add("added");
    return made;
  }

  private button(citation: Citation): HTMLElement {
    const made = element("span", "cite", `[${citation.source}]`); // a <button> is not copied, and breaks lines
    made.setAttribute("role", "button");
    made.tabIndex = 0;
    made.dataset["verdict"] = citation.verdict;
    const reason = citation.reason ? `: ${visible(citation.reason)}` : "";
    made.setAttribute("aria-label", `${t.source(citation.source!)}, ${SHORT[citation.verdict]}${reason}`);
    showsCard(made, citation);
    this.shown.add(citation.source!);
    this.last = made;
    return made;
  }

  /** Say what no mark in the text says: of a source that is cited in another way, and that nothing is cited. */
  complete(): void {
    const behind = this.last?.closest("a, code") ?? this.last;
    const missing = this.claim.citations.filter((each) => each.source === null || !this.shown.has(each.source));
    behind?.after(...missing.map((each) => (each.source === null ? unseen(` (${t.noSourceHere})`) : this.added(each))));
  }
}

function put(node: Text, pieces: Piece[], marks: Marks[]): void {
  if (node.parentElement?.closest(".maths")) return node.replaceWith(pieces.map((piece) => piece.text).join(""));
  const inside = node.parentElement?.closest("a, code, pre");
  const owner = pieces.length ? marks[pieces.at(-1)!.owner ?? -1] : undefined;
  const whole = pieces.map((piece) => piece.text).join("");
  if (inside?.tagName === "A" && inside.textContent?.replace(/[\ufdd0-\ufdef]/g, "") === whole) {
    const number = /^\s*[[【]?\^?(\d{1,6})[\]】]?\s*$/.exec(whole)?.[1];
    const buttons = number && owner ? owner.buttonsFor(number) : [];
    if (buttons.length) return inside.replaceWith(...buttons); // "[3](https://...)"
  }
  node.replaceWith(
    ...pieces.flatMap(({ text, claim, owner: last }) => {
      if (claim !== undefined && marks[claim] && text.trim()) return inside ? plainPart(marks[claim], text) : marks[claim].part(text);
      return inside ? text : (marks[last ?? -1]?.linked(text) ?? text);
    }),
  );
}

/** A part in a link or in code, where a mark is none. */
function plainPart(marks: Marks, text: string): HTMLElement {
  const made = marks.part("");
  made.append(text);
  return made;
}

function rank(citation: Citation): number {
  return VERDICTS.indexOf(citation.verdict);
}

function numbersIn(written: string): number[] {
  const found: number[] = [];
  for (const [, first, last] of written.matchAll(/(\d{1,6})(?:\s?[-–—]\s?\^?(\d{1,6}))?/g)) {
    const begin = Number(first);
    const end = Math.min(Number(last ?? first), begin + LONGEST_RANGE);
    for (let number = begin; number <= end; number++) found.push(number);
  }
  return [...new Set(found)];
}

function unseen(text: string): HTMLElement {
  return element("span", "unseen", text);
}

/** How many sentences are supported, and the sources that were cited. */
export function summaryOf(citations: Citation[]): HTMLElement {
  const worst = new Map<string, number>();
  for (const each of citations) {
    const place = `${each.start} ${each.end}`;
    worst.set(place, Math.max(worst.get(place) ?? 0, rank(each)));
  }
  const verdicts = [...worst.values()].map((each) => VERDICTS[each]);
  const said = VERDICTS.flatMap((verdict) => {
    const count = verdicts.filter((each) => each === verdict).length;
    return count ? element("span", "count", t.counted(count, verdict === "no source" ? t.withoutSource : SHORT[verdict])) : [];
  });
  const sources = new Map(citations.flatMap((each) => (each.address ? [[each.source, each]] : [])));
  const head = element("summary", "", t.sources, " ", ...said);
  const list = [...sources.values()].sort((a, b) => a.source! - b.source!).map(sourceLine);
  return element("details", "fold cited", head, element("ul", "", ...list));
}

function sourceLine(citation: Citation): HTMLElement {
  return element("li", "", `[${citation.source}] `, addressView(citation));
}
