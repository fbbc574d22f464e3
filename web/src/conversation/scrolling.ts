// Keeps the end of the conversation in sight, unless the reader has scrolled away from it.
import { button, element } from "../dom";
import { t } from "../words";

const NEAR_PIXELS = 40;

export class Scrolling {
  private isFollowing = true;
  /** Where it was when it was looked at last. */
  private place = 0;
  private readonly toEnd: HTMLElement;

  constructor(private readonly log: HTMLElement) {
    const made = button("↓", "to-end", () => this.jump());
    made.setAttribute("aria-label", t.toEnd);
    made.hidden = true;
    this.toEnd = made;
    log.after(element("div", "to-end-place", made));
    log.addEventListener("scroll", () => this.scrolled());
    new ResizeObserver(() => this.follow()).observe(log);
    new MutationObserver(() => this.follow()).observe(log, { childList: true, characterData: true, subtree: true });
  }

  private get toGo(): number {
    return this.log.scrollHeight - this.log.scrollTop - this.log.clientHeight;
  }

  private isNearEnd(): boolean {
    return this.toGo < NEAR_PIXELS;
  }

  /** Who moves away from the end is not brought back, however little it is at first: a finger begins with some pixels. */
  private scrolled(): void {
    const { scrollTop } = this.log;
    if (scrollTop < this.place && this.toGo > 1) this.isFollowing = false;
    else if (this.isNearEnd()) this.isFollowing = true;
    this.place = scrollTop;
    this.toEnd.hidden = this.isNearEnd();
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
    this.place = this.log.scrollTop;
  }
}
