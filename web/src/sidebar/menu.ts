// A menu that opens at a button. It lies above everything and inside of the window; arrow keys go through it, Esc and a
// click outside close it, and the button has the focus again.
import { button, element } from "../dom";

export interface Item {
  words: string;
  act: () => void;
  /** It takes something away. */
  isDangerous?: boolean;
}

const GAP = 4;
let open: { root: HTMLElement; opener: HTMLElement } | undefined;

/** Make a button open a menu. items: called when it opens. */
export function opensMenu(opener: HTMLButtonElement, items: () => Item[]): void {
  opener.setAttribute("aria-haspopup", "menu");
  opener.setAttribute("aria-expanded", "false");
  opener.addEventListener("click", () => (open?.opener === opener ? close() : show(opener, items())));
  opener.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowDown" && event.key !== "ArrowUp") return;
    event.preventDefault();
    show(opener, items(), event.key === "ArrowUp");
  });
}

function show(opener: HTMLElement, items: Item[], fromEnd = false): void {
  close(false);
  const root = element("div", "menu", ...items.map(itemOf));
  root.setAttribute("role", "menu");
  root.setAttribute("aria-label", opener.getAttribute("aria-label") ?? "");
  root.addEventListener("keydown", keyPressed);
  document.body.append(root);
  place(root, opener);
  open = { root, opener };
  opener.setAttribute("aria-expanded", "true");
  (root.children[fromEnd ? items.length - 1 : 0] as HTMLElement).focus();
  addEventListener("pointerdown", pressedOutside, true);
  addEventListener("wheel", pressedOutside, { capture: true, passive: true });
  addEventListener("resize", closeQuietly);
}

function itemOf({ words, act, isDangerous }: Item): HTMLElement {
  const made = button(words, isDangerous ? "dangerous" : "", () => {
    close();
    act();
  });
  made.setAttribute("role", "menuitem");
  made.tabIndex = -1;
  return made;
}

/** Below the opener, or above it where there is more room; cut to the window, and then it scrolls. */
function place(root: HTMLElement, opener: HTMLElement): void {
  const at = opener.getBoundingClientRect();
  const below = innerHeight - at.bottom - GAP;
  const isBelow = below >= root.offsetHeight || below >= at.top;
  root.style.maxHeight = `${Math.max(isBelow ? below : at.top, 80) - 2 * GAP}px`;
  root.style.top = `${isBelow ? at.bottom + GAP : Math.max(GAP, at.top - root.offsetHeight - GAP)}px`;
  const end = document.dir === "rtl" ? at.left : at.right - root.offsetWidth;
  root.style.left = `${Math.min(Math.max(GAP, end), innerWidth - root.offsetWidth - GAP)}px`;
}

function keyPressed(event: KeyboardEvent): void {
  const root = event.currentTarget as HTMLElement;
  const items = [...root.children] as HTMLElement[];
  const place = items.indexOf(document.activeElement as HTMLElement);
  const next = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: -1 }[event.key];
  if (next !== undefined) items.at(next % items.length)?.focus();
  else if (event.key === "Escape" || event.key === "Tab") close();
  else if (event.key.length === 1 && event.key !== " ") byLetter(items, place, event.key)?.focus();
  else return;
  event.stopPropagation();
  if (event.key !== "Tab") event.preventDefault();
}

/** The next item that begins with a letter. */
function byLetter(items: HTMLElement[], place: number, letter: string): HTMLElement | undefined {
  const begins = (item: HTMLElement): boolean => item.textContent.toLowerCase().startsWith(letter.toLowerCase());
  return [...items.slice(place + 1), ...items.slice(0, place + 1)].find(begins);
}

/** Something was pressed, or the list is scrolled away from under the menu. */
function pressedOutside(event: Event): void {
  const target = event.target as Node;
  if (open && !open.root.contains(target) && !open.opener.contains(target)) close(false);
}

function closeQuietly(): void {
  close(false);
}

/** givesBack: whether its button gets the focus. */
function close(givesBack = true): void {
  if (!open) return;
  const { root, opener } = open;
  open = undefined;
  removeEventListener("pointerdown", pressedOutside, true);
  removeEventListener("wheel", pressedOutside, true);
  removeEventListener("resize", closeQuietly);
  opener.setAttribute("aria-expanded", "false");
  if (givesBack) opener.focus();
  root.remove();
}
