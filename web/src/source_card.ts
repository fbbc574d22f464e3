// The card of a citation: what the check says, the passage of the source, its title and its address. All of it was
// written by others: it is shown as text, with what would hide or reorder it made visible, and only a web address is a
// link.
import type { Citation, Verdict } from "./api";
import { element } from "./dom";
import { visible } from "./texts";
import { t } from "./words";

const WORDS: Record<Verdict, string> = {
  supported: t.sourceSays,
  weak: t.sourceSaysPartly,
  "not found": t.sourceSaysNot,
  "no source": t.noSuchSource,
};
const CLOSE_MILLISECONDS = 200;
const GAP = 6;

interface Shown {
  anchor: HTMLElement;
  card: HTMLElement;
  /** Whether it stays until it is closed. */
  isPinned: boolean;
}

let shown: Shown | undefined;
let isGivingBack = false;
let closing: ReturnType<typeof setTimeout> | undefined;

/** Show the card of a citation while the pointer is on an element or it has the focus, and after a click. */
export function showsCard(anchor: HTMLElement, citation: Citation, isText = false): void {
  if (!isText) anchor.setAttribute("aria-expanded", "false");
  anchor.addEventListener("pointerenter", (event) => {
    if (event.pointerType === "mouse" && !shown?.isPinned) open(anchor, citation, false);
  });
  anchor.addEventListener("pointerleave", closeSoon);
  anchor.addEventListener("focus", () => {
    if (!isGivingBack && anchor.matches(":focus-visible")) open(anchor, citation, false);
  });
  anchor.addEventListener("blur", (event) => {
    if (shown?.anchor === anchor && !shown.card.contains(event.relatedTarget as Node | null)) close();
  });
  anchor.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    anchor.click();
  });
  anchor.addEventListener("click", (event) => {
    if (event.target !== anchor) return; // a mark inside of a sentence
    if (shown?.anchor === anchor && shown.isPinned) close();
    else if (!isText || !getSelection()?.toString()) open(anchor, citation, true);
  });
}

function open(anchor: HTMLElement, citation: Citation, isPinned: boolean): void {
  clearTimeout(closing);
  if (shown?.anchor === anchor) {
    shown.isPinned ||= isPinned;
    return;
  }
  close();
  const card = cardOf(citation);
  card.addEventListener("pointerenter", () => clearTimeout(closing));
  card.addEventListener("pointerleave", closeSoon);
  card.addEventListener("focusout", (event) => {
    const to = event.relatedTarget as Node | null;
    if (to && to !== anchor && !card.contains(to)) close();
  });
  shown = { anchor, card, isPinned };
  anchor.after(card); // behind it in the order of the Tab key
  anchor.setAttribute("aria-expanded", "true");
  place();
}

function close(): void {
  clearTimeout(closing);
  const last = shown;
  shown = undefined;
  if (!last) return;
  const hadFocus = last.card.contains(document.activeElement);
  last.card.remove();
  if (hadFocus) giveBackFocus(last.anchor);
  if (last.anchor.hasAttribute("aria-expanded")) last.anchor.setAttribute("aria-expanded", "false");
}

function giveBackFocus(anchor: HTMLElement): void {
  isGivingBack = true; // it is no reason to show the card again
  anchor.focus();
  isGivingBack = false;
}

function closeSoon(): void {
  clearTimeout(closing);
  if (shown && !shown.isPinned) closing = setTimeout(close, CLOSE_MILLISECONDS);
}

/** Below what it belongs to, or above where there is more room, and not over the edge. */
function place(): void {
  if (!shown) return;
  const { anchor, card } = shown;
  if (!anchor.isConnected) return close();
  const line = anchor.getClientRects()[0] ?? anchor.getBoundingClientRect();
  const below = innerHeight - line.bottom;
  const isAbove = below < card.offsetHeight + 2 * GAP && line.top > below;
  const top = isAbove ? Math.max(GAP, line.top - card.offsetHeight - GAP) : line.bottom + GAP;
  card.style.top = `${top}px`;
  card.style.left = `${Math.max(GAP, Math.min(line.left, innerWidth - card.offsetWidth - GAP))}px`;
}

function cardOf(citation: Citation): HTMLElement {
  const said = citation.source === null ? t.noSource : WORDS[citation.verdict];
  const made = element("span", "card", element("strong", "verdict", said));
  made.dataset["verdict"] = citation.verdict;
  made.setAttribute("role", "dialog");
  made.setAttribute("aria-label", citation.source === null ? t.noSource : t.source(citation.source));
  if (citation.reason) made.append(element("span", "reason", element("bdi", "", visible(citation.reason))));
  if (citation.quote) made.append(element("q", "quote", element("bdi", "", visible(citation.quote))));
  if (citation.address) made.append(element("span", "from", `[${citation.source}] `, addressView(citation)));
  return made;
}

/** The title and the address of a source; neither can turn the other around. */
export function addressView(citation: Citation): HTMLElement {
  const made = element("span", "source");
  const { address, title } = citation;
  if (title) made.append(element("bdi", "title", visible(title)), " – ");
  made.append(element("bdi", "", isOfTheWeb(address) ? linkTo(address) : element("span", "address", visible(address))));
  return made;
}

function linkTo(address: string): HTMLAnchorElement {
  const made = element("a", "address", visible(address));
  made.href = address;
  made.target = "_blank";
  made.rel = "noopener noreferrer nofollow";
  return made;
}

function isOfTheWeb(address: string): boolean {
  try {
    return /^https?:$/.test(new URL(address).protocol);
  } catch {
    return false;
  }
}

addEventListener("scroll", place, true);
addEventListener("resize", place);
document.addEventListener("pointerdown", (event) => {
  const target = event.target as Node;
  if (shown && !shown.card.contains(target) && !shown.anchor.contains(target)) close();
});
document.addEventListener(
  "keydown",
  (event) => {
    if (event.key !== "Escape" || !shown) return;
    event.stopPropagation(); // it would stop the answer
    close();
  },
  true,
);
