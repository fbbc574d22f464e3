/** An element with a class and children; texts stay texts, whatever is in them. */
export function element<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className = "",
  ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

/** The element of the page with an id. */
export function at<T extends HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

/** A button that shows words. */
export function button(words: string, className: string, act: () => void): HTMLButtonElement {
  const made = element("button", className, words);
  made.type = "button";
  made.addEventListener("click", act);
  return made;
}

/** A button that shows a sign; label: what it does, in words. */
export function iconButton(sign: string, label: string, act: () => void): HTMLButtonElement {
  const made = button("", "icon", act);
  const shown = element("span", "", sign);
  shown.setAttribute("aria-hidden", "true");
  made.append(shown);
  made.setAttribute("aria-label", label);
  made.title = label;
  return made;
}

/** Give an element these children in this order; those that are in their places are not touched. */
export function arrange(parent: HTMLElement, children: HTMLElement[]): void {
  const kept = new Set<Element>(children);
  for (const each of [...parent.children]) if (!kept.has(each)) each.remove();
  let next = parent.firstElementChild;
  for (const child of children) {
    if (child === next) next = next.nextElementSibling;
    else parent.insertBefore(child, next);
  }
}
