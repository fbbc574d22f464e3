// Dialogs of the page's own HTML. They are closed by Esc, by a click beside them and by their buttons with `data-close`;
// what had the focus before has it again.
import { at } from "./dom";

const COMPOSING = 229; // the key code of what an input method takes

/** Open a dialog; returns it. */
export function openDialog(id: string): HTMLDialogElement {
  const dialog = at<HTMLDialogElement>(id);
  if (!dialog.open) dialog.showModal();
  return dialog;
}

/** Ask whether something is to be done. act: the words for it. */
export function confirmed(question: string, act: string): Promise<boolean> {
  at("confirm-text").textContent = question;
  at("confirm-act").textContent = act;
  const dialog = openDialog("confirm-dialog");
  dialog.returnValue = "";
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}

/** Make the dialogs of the page close. */
export function preparesDialogs(): void {
  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.addEventListener("click", (event) => {
      const target = event.target as HTMLElement;
      if (target.closest("[data-close]")) dialog.close();
    });
    dialog.addEventListener("pointerdown", (event) => event.target === dialog && isBeside(dialog, event) && dialog.close());
    // The Enter that ends a word of an input method sends no form.
    dialog.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.isComposing || event.keyCode === COMPOSING)) event.preventDefault();
    });
  }
}

/** Whether something was pressed outside of a dialog, on what it covers. */
function isBeside(dialog: HTMLElement, { clientX, clientY }: PointerEvent): boolean {
  const { left, right, top, bottom } = dialog.getBoundingClientRect();
  return clientX < left || clientX > right || clientY < top || clientY > bottom;
}
