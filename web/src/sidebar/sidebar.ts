// The conversations at the side: those that there are, by date, and what can be done with them.
import type { LLMAPI, SessionOut } from "../api";
import { forgetWritten } from "../composer/drafts";
import { openDialog } from "../dialogs";
import { at } from "../dom";
import { t } from "../words";
import { Deletions } from "./deletions";
import { exportJSON, exportMarkdown } from "./export";
import { List } from "./list";
import type { Item } from "./menu";
import { Search } from "./search";
import { Sharing } from "./sharing";
import { Side } from "./side";
import "./sidebar.css";

const POLL_SECONDS = 4;

/** What the rest of the page does for the list. */
export interface Chosen {
  /** The conversation that is shown. */
  current(): string;
  /** What the list has of it. */
  listed(session: { updated: string; running: boolean }): void;
  open(session: string): void;
  /** The conversation that is shown was deleted. */
  startNew(): void;
  /** The list does not have the conversation that is shown any more: it may have been deleted elsewhere. */
  missing(): void;
  /** A conversation is gone at the service. */
  gone(session: string): void;
  /** Returns what takes the words away again. */
  showError(error: unknown): () => void;
  /** Title of the page; "" is its own. */
  title(): string;
  /** Whether the service shares conversations by a link. */
  canShare(): boolean;
}

export class Sidebar {
  private sessions: SessionOut[] = [];
  /** The conversation whose answer arrives in this page. */
  private running = "";
  /** Which reading of the list is the newest: what an older one tells comes too late. */
  private reading = 0;
  private polling: ReturnType<typeof setTimeout> | undefined;
  /** Takes away what is shown of a reading that failed. */
  private clear: () => void = () => undefined;
  /** A conversation that was shown when it was deleted, and the new one in its place. */
  private left: { id: string; now: string } | undefined;
  private readonly side = new Side();
  private readonly list: List;
  private readonly search: Search;
  private readonly deletions: Deletions;
  private readonly sharing: Sharing;

  /** leaving: a client whose requests outlive the page. */
  constructor(
    private readonly api: LLMAPI,
    leaving: LLMAPI,
    private readonly chosen: Chosen,
  ) {
    const actions = {
      open: (session: SessionOut) => chosen.open(session.session_id),
      rename: (session: SessionOut) => this.askForName(session),
      remove: (session: SessionOut) => this.remove(session),
      items: (session: SessionOut) => this.itemsOf(session),
    };
    this.list = new List(at("sessions"), actions, () => this.search.focus());
    this.search = new Search(api, {
      sessions: () => this.there(),
      changed: () => this.draw(),
      toFound: () => this.list.focusFirst(),
      failed: chosen.showError,
    });
    this.deletions = new Deletions(api, leaving, {
      changed: () => this.draw(),
      restored: (session) => this.restored(session),
      gone: (id) => this.gone(id),
      isShown: (session) => isOf(session, chosen.current()),
      failed: chosen.showError,
    });
    this.sharing = new Sharing(api);
    at("name-form").addEventListener("submit", () => void this.rename());
    document.addEventListener("visibilitychange", () => document.hidden || void this.load(true));
    addEventListener("focus", () => void this.load(true));
  }

  /** Whether it lies over the conversation. */
  get isOpen(): boolean {
    return this.side.isOpen;
  }

  hide(): void {
    this.side.hide();
  }

  /** A conversation is opened, or something is sent in it: its deletion is taken back. */
  keep(id: string): void {
    this.deletions.keep(id);
  }

  focusSearch(): void {
    this.side.show();
    this.search.focus();
  }

  /** Take the last deletion back; returns whether there was one. */
  undo(): boolean {
    return this.deletions.undo();
  }

  /** An answer arrives in the conversation that is shown, or none does. */
  setRunning(isRunning: boolean): void {
    this.running = isRunning ? this.chosen.current() : "";
    this.draw();
    this.poll();
  }

  /** Read the list anew; returns whether that was possible. isSilent: nobody has asked for it, so that no failure is
   * shown. */
  async load(isSilent = false): Promise<boolean> {
    const reading = ++this.reading;
    try {
      const { sessions } = (await this.api.listSessions()).data;
      this.clear();
      this.clear = () => undefined;
      if (reading !== this.reading) return true;
      const before = this.sessions;
      this.sessions = sessions;
      this.tellMissing(before);
    } catch (error) {
      if (!isSilent) this.clear = this.chosen.showError(error);
      this.poll();
      return false;
    }
    this.deletions.takeUp();
    this.draw();
    this.poll();
    this.tellListed();
    return true;
  }

  /** Tell what the list has of the conversation that is shown. */
  tellListed(): void {
    const shown = this.sessions.find((each) => each.session_id === this.chosen.current());
    if (shown) this.chosen.listed(shown);
  }

  private tellMissing(before: readonly SessionOut[]): void {
    const current = this.chosen.current();
    const shown = before.find((each) => isOf(each, current));
    if (!shown || this.deletions.has(shown.session_id) || this.sessions.some((each) => isOf(each, current))) return;
    this.chosen.missing();
  }

  /** While an answer is in progress somewhere, look whether it still is. */
  private poll(): void {
    clearTimeout(this.polling);
    if (!this.running && !this.sessions.some((each) => each.running)) return;
    this.polling = setTimeout(() => (document.hidden ? this.poll() : void this.load(true)), POLL_SECONDS * 1000);
  }

  draw(): void {
    const current = this.chosen.current();
    const ofCurrent = this.sessions.find((each) => isOf(each, current))?.session_id ?? current;
    const known = {
      current: ofCurrent,
      isRunning: ({ session_id, running }: SessionOut) =>
        session_id === current ? session_id === this.running : !!running || (session_id === ofCurrent && !!this.running),
    };
    if (this.search.found) {
      const newest = new Map(this.sessions.map((each) => [each.session_id, each]));
      const found = this.search.found.map((each) => ({ ...each, ...newest.get(each.session_id) }));
      this.list.showFound(this.without(found), this.search.words, known);
    } else {
      this.list.showGroups(this.there(), known);
    }
    const shown = this.sessions.find((each) => isOf(each, current));
    at("title").textContent = shown?.name || t.newConversation;
    document.title = shown?.name || this.chosen.title() || "agentkit";
  }

  private there(): SessionOut[] {
    return this.without(this.sessions);
  }

  private without<T extends SessionOut>(sessions: T[]): T[] {
    return sessions.filter((each) => !this.deletions.has(each.session_id));
  }

  // ---- what can be done with a conversation

  private itemsOf(session: SessionOut): Item[] {
    const items: Item[] = [{ words: t.rename, act: () => this.askForName(session) }];
    if (session.pinned !== undefined) {
      items.push({ words: session.pinned ? t.unpin : t.pin, act: () => void this.pin(session) });
    }
    if (this.chosen.canShare()) items.push({ words: t.share, act: () => void this.sharing.open(session) });
    items.push(
      { words: t.exportMarkdown, act: () => void this.export(session, exportMarkdown) },
      { words: t.exportJSON, act: () => void this.export(session, exportJSON) },
      { words: t.delete, act: () => this.remove(session), isDangerous: true },
    );
    return items;
  }

  private askForName({ session_id, name }: SessionOut): void {
    const field = at<HTMLInputElement>("name");
    field.value = name;
    openDialog("name-dialog").dataset["session"] = session_id;
    field.select();
  }

  private async rename(): Promise<void> {
    const name = at<HTMLInputElement>("name").value.trim();
    const id = at("name-dialog").dataset["session"] ?? "";
    if (name) await this.change(id, { name }, () => this.api.renameSession(id, name));
  }

  private async pin({ session_id, pinned }: SessionOut): Promise<void> {
    await this.change(session_id, { pinned: !pinned }, () => this.api.pinSession(session_id, !pinned));
  }

  /** Show a change at once, and make it at the service. */
  private async change(id: string, fields: Partial<SessionOut>, ask: () => Promise<unknown>): Promise<void> {
    this.reading++;
    this.sessions = this.sessions.map((each) => (each.session_id === id ? { ...each, ...fields } : each));
    this.draw();
    try {
      await ask();
    } catch (error) {
      this.chosen.showError(error);
    }
    await this.load();
  }

  private async export({ session_id }: SessionOut, write: typeof exportJSON): Promise<void> {
    try {
      write((await this.api.getSessionHistory(session_id)).data);
    } catch (error) {
      this.chosen.showError(error);
    }
  }

  private remove(session: SessionOut): void {
    const { session_id } = session;
    const hadFocus = at("sessions").contains(document.activeElement);
    const next = this.list.neighbour(session_id);
    this.deletions.add(session);
    if (isOf(session, this.chosen.current())) {
      this.chosen.startNew();
      this.left = { id: session_id, now: this.chosen.current() };
    } else if (hadFocus && next) this.list.focus(next);
    else if (hadFocus) at("new").focus();
  }

  private restored({ session_id }: SessionOut): void {
    if (this.left?.id === session_id && this.left.now === this.chosen.current()) this.chosen.open(session_id);
    if (document.activeElement === document.body) this.list.focus(session_id);
  }

  private gone(id: string): void {
    this.sessions = this.sessions.filter((each) => each.session_id !== id);
    forgetWritten(id);
    this.chosen.gone(id);
    void this.load(); // of another branch, it may have had another id in the list
  }
}

/** Whether a conversation is shown in the branch with an id. */
function isOf({ session_id, branches = [] }: SessionOut, id: string): boolean {
  return session_id === id || branches.includes(id);
}
