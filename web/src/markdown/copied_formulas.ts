// Formulas in what is selected and copied: as LaTeX, in its signs, in the place of the letters of which a drawing is made.
import { written } from "./formulas";

/** What the page shows beside a text. */
const NOT_TEXT = ".code-head, .cite, .card, .unseen, .actions, .usage";

export function copyFormulasAsLatex(): void {
  document.addEventListener("copy", (event) => {
    const selection = getSelection();
    if (!selection?.rangeCount || !event.clipboardData || event.target instanceof HTMLTextAreaElement) return;
    const text = textOf(selection.getRangeAt(0));
    if (text === undefined) return;
    const html = document.createElement("div");
    html.append(selection.getRangeAt(0).cloneContents());
    event.clipboardData.setData("text/plain", text);
    event.clipboardData.setData("text/html", html.innerHTML);
    event.preventDefault();
  });
}

/** The text of what is selected; undefined where no formula is in it. One that is selected in part counts as a whole. */
function textOf(range: Range): string | undefined {
  const within = range.commonAncestorContainer;
  const around = (within instanceof Element ? within : within.parentElement)?.closest<HTMLElement>(".maths");
  if (around) return around.querySelector("math") ? written(around) : undefined;
  const copy = document.createElement("div");
  copy.append(range.cloneContents());
  const formulas = [...copy.querySelectorAll<HTMLElement>(".maths")].filter((each) => each.querySelector("math"));
  if (!formulas.length) return undefined;
  for (const formula of formulas) formula.textContent = written(formula);
  for (const each of copy.querySelectorAll(NOT_TEXT)) each.remove();
  return rendered(copy);
}

/** The text of elements as it is drawn: with a line for each block. */
function rendered(copy: HTMLElement): string {
  copy.className = "markdown unseen";
  document.body.append(copy);
  const text = copy.innerText;
  copy.remove();
  return text.trim();
}
