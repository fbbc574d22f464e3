// A conversation in the list: a link, and a button with what can be done with it. A row is kept when the list is read
// anew, so that it keeps the focus.
import type { SessionOut } from "../api";
import { element, iconButton } from "../dom";
import { IS_MAC } from "../keyboard";
import { addressOf } from "../routing";
import { language, t } from "../words";
import { type Item, opensMenu } from "./menu";

/** What is done with a conversation of the list. */
export interface RowActions {
  open(session: SessionOut): void;
  rename(session: SessionOut): void;
  remove(session: SessionOut): void;
  items(session: SessionOut): Item[];
}

const TIME = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });

export class Row {
  readonly root: HTMLLIElement;
  readonly link = element("a", "open");
  readonly more: HTMLButtonElement;
  private readonly name = element("span", "name");
  private readonly running = element("span", "running");
  private readonly snippet = element("span", "snippet");
  private shown = "";

  constructor(
    private session: SessionOut,
    private readonly actions: RowActions,
  ) {
    this.name.dir = "auto";
    this.running.append(element("span", "unseen", t.answering));
    this.running.title = t.answering;
    this.snippet.dir = "auto";
    this.link.append(this.name);
    this.link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return; // in another tab or window
      event.preventDefault();
      actions.open(this.session);
    });
    this.more = iconButton("⋯", "", () => undefined);
    opensMenu(this.more, () => actions.items(this.session));
    this.root = element("li", "", this.link, this.more);
    this.root.addEventListener("keydown", (event) => this.keyPressed(event));
  }

  /** Show what the service says of it now. */
  update(session: SessionOut, isCurrent: boolean, isRunning: boolean): void {
    this.session = session;
    const now = `${session.name}\n${session.updated}\n${isCurrent}\n${isRunning}`;
    if (now === this.shown) return;
    this.shown = now;
    const name = session.name || session.session_id;
    this.name.textContent = name;
    this.link.href = addressOf(session.session_id);
    const time = new Date(session.updated);
    this.link.title = Number.isNaN(time.getTime()) ? name : `${name}\n${TIME.format(time)}`;
    if (isCurrent) this.link.setAttribute("aria-current", "page");
    else this.link.removeAttribute("aria-current");
    if (isRunning) this.link.append(this.running);
    else this.running.remove();
    this.more.setAttribute("aria-label", t.more(name));
    this.more.title = t.more(name);
  }

  /** Show where what is looked for stands. */
  mark(name: (string | HTMLElement)[], snippet: (string | HTMLElement)[]): void {
    this.name.replaceChildren(...name);
    this.snippet.replaceChildren(...snippet);
    if (snippet.length) this.name.after(this.snippet);
    else this.snippet.remove();
  }

  unmark(): void {
    this.snippet.remove();
    if (this.name.childElementCount) this.name.replaceChildren(this.name.textContent ?? "");
  }

  private keyPressed(event: KeyboardEvent): void {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || event.repeat) return;
    if (event.key === "F2") this.actions.rename(this.session);
    else if (event.key === (IS_MAC ? "Backspace" : "Delete")) this.actions.remove(this.session);
    else return;
    event.preventDefault();
  }
}
