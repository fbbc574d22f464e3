import { tell } from "./told";
import { t } from "./words";

const TOLD_MILLISECONDS = 2_000;

/** Copy a text; returns whether it was. A page that is served over plain HTTP to another machine has no clipboard API. */
export async function copied(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copiedBySelection(text);
  }
}

/** The field stands where it can be selected: an open dialog makes the rest of the page inert. The focus comes back. */
function copiedBySelection(text: string): boolean {
  const had = document.activeElement;
  const field = document.createElement("textarea");
  field.value = text;
  field.className = "unseen";
  (document.querySelector("dialog[open]") ?? document.body).append(field);
  field.select();
  const isDone = document.execCommand("copy");
  field.remove();
  if (had instanceof HTMLElement) had.focus({ preventScroll: true });
  return isDone;
}

/** Copy a text for the button to copy that was pressed, which says for a moment whether it is. */
export async function copiedFor(pressed: HTMLElement, text: string): Promise<void> {
  pressed.textContent = (await copied(text)) ? t.copied : t.notCopied;
  tell(pressed.textContent);
  setTimeout(() => (pressed.textContent = t.copy), TOLD_MILLISECONDS);
}
