// Keeps the end of the conversation in sight, unless the reader has scrolled away from it.
import { button, element } from "../dom";
import { t } from "../words";

const NEAR_PIXELS = 40;

export class Scrolling {
  private isFollowing = true;
  private readonly toEnd: HTMLElement;

  constructor(private readonly log: HTMLElement) {
    const made = button("↓", "to-end", () => this.jump());
    made.setAttribute("aria-label", t.toEnd);
    made.hidden = true;
    this.toEnd = made;
    log.after(element("div", "to-end-place", made));
    log.addEventListener("scroll", () => {
      this.isFollowing = this.isNearEnd();
      this.toEnd.hidden = this.isFollowing;
    });
    new ResizeObserver(() => this.follow()).observe(log);
    new MutationObserver(() => this.follow()).observe(log, { childList: true, characterData: true, subtree: true });
  }

  private isNearEnd(): boolean {
    return this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight < NEAR_PIXELS;
  }

  /** To the end, and stay there. */
  jump(): void {
    this.isFollowing = true;
    this.follow();
  }

  /** The conversation has grown. What a long question begins with stays in sight. */
  private follow(): void {
    if (!this.isFollowing) {
      this.toEnd.hidden = this.isNearEnd();
      return;
    }
    this.toEnd.hidden = true;
    this.log.scrollTop = this.log.scrollHeight;
    const asks = this.log.querySelector(".approval:not([data-decided])");
    if (asks && asks.getBoundingClientRect().top < this.log.getBoundingClientRect().top) asks.scrollIntoView();
  }
}
