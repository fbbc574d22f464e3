// What is added to the elements of a text: the head of code with its language and a button to copy it, colours, boxes of
// tasks, formulas.
import { element } from "../dom";
import { copied } from "../clipboard";
import { showFormula } from "./formulas";
import { highlighted } from "./highlight";
import { t } from "../words";

/** How much code is in colours while it still arrives. */
const MOST_UNFINISHED = 20_000;
const COPIED_MILLISECONDS = 2_000;

const RIGHT_TO_LEFT = /[\u0590-\u08ff\ufb1d-\ufdcf\ufdf0-\ufdff\ufe70-\ufefc]/;

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
 * element that is added: in a paragraph it finds it soon, if there is one, in lists and tables it would not. */
function direct(block: Element): void {
  if (block.matches(".code, .maths")) return;
  const first = /\p{L}/u.exec(block.textContent ?? "")?.[0];
  if (!first) return;
  const own = RIGHT_TO_LEFT.test(first) ? "rtl" : "ltr";
  block.setAttribute("dir", /^(?:P|H\d)$/.test(block.tagName) ? "auto" : own);
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
  if (!(await copied(code.textContent ?? ""))) return;
  button.textContent = t.copied;
  setTimeout(() => (button.textContent = t.copy), COPIED_MILLISECONDS);
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
