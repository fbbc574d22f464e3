// Whether Enter sends. It does not while an input method composes a word, nor right after: in Safari the Enter that ends
// the word comes behind the end of the composition; and not on a phone, whose keyboard has no Shift+Enter.

const COMPOSING = 229; // the key code of what an input method takes
const AFTER_COMPOSITION = 50; // milliseconds

export class EnterKey {
  private ended = -Infinity;

  /** isOfLines: whether the field takes several lines, so that Enter on a phone makes a new one. */
  constructor(
    field: HTMLElement,
    private readonly isOfLines = true,
  ) {
    field.addEventListener("compositionend", (event) => (this.ended = event.timeStamp));
  }

  sends(event: KeyboardEvent): boolean {
    if (event.key !== "Enter" || event.isComposing || event.keyCode === COMPOSING) return false;
    if (event.timeStamp - this.ended < AFTER_COMPOSITION) return false;
    if (event.ctrlKey || event.metaKey) return true;
    return !event.shiftKey && !event.altKey && !(this.isOfLines && isPhone());
  }
}

/** Whether the reader writes on a screen. */
export function isPhone(): boolean {
  return matchMedia("(hover: none) and (pointer: coarse)").matches;
}
