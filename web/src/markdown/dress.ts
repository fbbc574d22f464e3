// What is added to the elements of a text: the head of code with its language and a button to copy it, colours, boxes of
// tasks, formulas.
import { element } from "../dom";
import { copiedFor } from "../clipboard";
import { showFormula } from "./formulas";
import { highlighted } from "./highlight";
import { t } from "../words";

/** How much code is in colours while it still arrives. */
const MOST_UNFINISHED = 20_000;

const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdcf\ufdf0-\ufdff\ufe70-\ufefc]/;
const LETTER = /\p{L}/gu;

/** block: has an element, of which it is a block. */
export function dress(block: Element, isFinished: boolean): void {
  for (const each of block.children) direct(each);
  for (const each of block.querySelectorAll<HTMLElement>(".code, .task, .maths")) {
    if (each.classList.contains("code")) dressCode(each, isFinished);
    else if (each.classList.contains("maths")) showFormula(each);
    else dressTask(each);
  }
}

/** A block begins at the side at which its first word does. The browser looks for that word (dir="auto") again with each
 * element that is added: in a paragraph it finds it soon, if there is one, in lists and tables it would not. Those are of
 * the direction of most of their words: an item may begin with a name in another script. Code says nothing of it. */
function direct(block: Element): void {
  if (block.matches(".code, .maths")) return;
  const text = block.textContent ?? "";
  const isMixed = RIGHT_TO_LEFT.test(text);
  if (isMixed) for (const code of block.querySelectorAll(":not(pre) > code")) code.setAttribute("dir", "ltr");
  if (/^(?:P|H\d)$/.test(block.tagName)) {
    if (/\p{L}/u.test(text)) block.setAttribute("dir", "auto");
  } else if (isMixed) directMixed(block);
  else if (/\p{L}/u.test(text)) block.setAttribute("dir", "ltr");
}

/** A list, table or quotation with words that are written from right to left. */
function directMixed(block: Element): void {
  const items = new Set<Element>(); // that have some
  const walker = document.createTreeWalker(block, NodeFilter.SHOW_TEXT);
  let [ofRight, others] = [0, 0];
  while (walker.nextNode()) {
    const text = walker.currentNode as Text;
    const around = text.parentElement!;
    if (around.closest("code, .maths")) continue;
    const letters = text.data.match(LETTER) ?? [];
    const found = letters.filter((letter) => RIGHT_TO_LEFT.test(letter)).length;
    ofRight += found;
    others += letters.length - found;
    const item = found ? around.closest("li") : null;
    if (item) items.add(item);
  }
  const isRight = ofRight > 0 && ofRight >= others;
  block.setAttribute("dir", isRight ? "rtl" : "ltr");
  if (isRight) for (const item of items) item.setAttribute("dir", "rtl");
}

function dressCode(block: HTMLElement, isFinished: boolean): void {
  const language = block.dataset["language"] ?? "";
  const code = block.querySelector("code")!;
  const text = code.textContent ?? "";
  const copy = element("button", "copy", t.copy);
  copy.type = "button";
  block.prepend(element("div", "code-head", element("span", "language", language), copy));
  if (code.firstElementChild || (!isFinished && text.length > MOST_UNFINISHED)) return; // marks of citations
  const pieces = highlighted(text, language);
  if (!pieces) return;
  const coloured = document.createDocumentFragment(); // there may be more than a call takes arguments
  for (const [part, kind] of pieces) coloured.append(kind ? element("span", `code-${kind}`, part) : part);
  code.replaceChildren(coloured);
}

function dressTask(item: HTMLElement): void {
  const box = element("input");
  box.type = "checkbox";
  box.disabled = true;
  box.toggleAttribute("checked", item.classList.contains("done"));
  box.setAttribute("aria-label", (item.textContent ?? "").trim().slice(0, 80));
  const first = item.firstElementChild?.tagName === "P" ? item.firstElementChild : item;
  first.prepend(box, " ");
}

/** What is clicked in a text: the button to copy code, and what leads to another place of the text. */
export function listen(root: HTMLElement): void {
  root.addEventListener("click", (event) => {
    const target = event.target as Element;
    const copy = target.closest<HTMLElement>(".code-head .copy");
    if (copy) void copyCode(copy);
    const to = target.closest<HTMLElement>("a.to");
    if (to) goTo(root, to.dataset["to"] ?? "");
  });
  root.addEventListener("keydown", (event) => {
    const target = event.target as HTMLElement;
    if (event.key === "Enter" && target.matches("a.to")) goTo(root, target.dataset["to"] ?? "");
  });
}

async function copyCode(button: HTMLElement): Promise<void> {
  const code = button.closest(".code")!.querySelector("code")!.cloneNode(true) as HTMLElement;
  for (const mark of code.querySelectorAll(".cite, .card, .unseen")) mark.remove();
  await copiedFor(button, code.textContent ?? "");
}

/** Show a footnote, or the heading that an address within the text names. */
function goTo(root: HTMLElement, name: string): void {
  const found =
    [...root.querySelectorAll<HTMLElement>(".note")].find((each) => each.dataset["name"] === name) ??
    [...root.querySelectorAll<HTMLElement>("h2, h3, h4, h5, h6")].find((each) => slugOf(each) === name.toLowerCase());
  if (!found) return;
  found.tabIndex = -1;
  found.focus({ preventScroll: true });
  found.scrollIntoView({ block: "center" });
}

function slugOf(heading: HTMLElement): string {
  const text = (heading.textContent ?? "").trim().toLowerCase();
  return text.replace(/[^\p{L}\p{N}\s_-]/gu, "").replace(/\s/g, "-");
}
