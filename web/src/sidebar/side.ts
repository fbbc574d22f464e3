// Where the list is: beside the conversation, or on a narrow screen over it; then the rest of the page can't be reached.
import { at } from "../dom";

const NARROW = "(max-width: 44rem)";

export class Side {
  private readonly opener = at("open-side");

  constructor() {
    this.opener.addEventListener("click", () => {
      this.show();
      at("close-side").focus();
    });
    at("close-side").addEventListener("click", () => this.hide());
    at("side-cover").addEventListener("click", () => this.hide());
    matchMedia(NARROW).addEventListener("change", () => this.hide());
  }

  get isOpen(): boolean {
    return document.body.classList.contains("side-open");
  }

  show(): void {
    if (!matchMedia(NARROW).matches) return;
    document.body.classList.add("side-open");
    this.opener.setAttribute("aria-expanded", "true");
    document.querySelector("main")!.inert = true;
  }

  hide(): void {
    if (!this.isOpen) return;
    const hadFocus = at("side").contains(document.activeElement);
    document.body.classList.remove("side-open");
    this.opener.setAttribute("aria-expanded", "false");
    document.querySelector("main")!.inert = false;
    if (hadFocus) this.opener.focus();
  }
}
