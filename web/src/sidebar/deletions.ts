// Deleting with a way back: what is deleted goes from the list at once, and from the service when its time is over or
// the page is left.
import { type LLMAPI, LLMError, type SessionOut } from "../api";
import { at, button, element } from "../dom";
import { kept } from "../storage";
import { t } from "../words";

const UNDO_SECONDS = 8;
const LEFT = "agentkit-deleted"; // what was deleted when the page was left, until the service is known to have done it
const BUSY_PAUSES = [200, 500, 1000, 2000]; // milliseconds; an answer that is stopped ends soon

interface Deletion {
  session: SessionOut;
  timer: ReturnType<typeof setTimeout> | undefined;
}

/** What the rest of the page does for deletions. */
export interface Around {
  /** What is deleted has changed. */
  changed(): void;
  /** It is there again. */
  restored(session: SessionOut): void;
  /** It is gone at the service. */
  gone(id: string): void;
  /** Whether the reader has gone back to it: then it stays. */
  isShown(session: SessionOut): boolean;
  failed(error: unknown): void;
}

export class Deletions {
  private readonly waiting: Deletion[] = [];
  private readonly committing = new Set<string>();
  private readonly bar = at("undo");

  /** leaving: a client whose requests outlive the page. */
  constructor(
    private readonly api: LLMAPI,
    private readonly leaving: LLMAPI,
    private readonly around: Around,
  ) {
    addEventListener("pagehide", () => this.leave());
  }

  /** Whether a conversation is not to be shown any more. */
  has(id: string): boolean {
    return this.committing.has(id) || this.waiting.some(({ session }) => session.session_id === id);
  }

  add(session: SessionOut): void {
    if (this.has(session.session_id)) return;
    const deletion: Deletion = { session, timer: undefined };
    this.waiting.push(deletion);
    this.wait(deletion, UNDO_SECONDS);
    this.changed();
  }

  /** Take the deletion of a conversation back, whose branch has an id. */
  keep(id: string): void {
    const before = left();
    if (before.includes(id)) keepLeft(before.filter((each) => each !== id));
    const deletion = this.waiting.find(({ session }) => session.session_id === id || session.branches?.includes(id));
    if (!deletion) return;
    clearTimeout(deletion.timer);
    this.waiting.splice(this.waiting.indexOf(deletion), 1);
    this.changed();
  }

  /** Take the last deletion back; returns whether there was one. */
  undo(): boolean {
    const deletion = this.waiting.pop();
    if (!deletion) return false;
    clearTimeout(deletion.timer);
    this.changed();
    this.around.restored(deletion.session);
    return true;
  }

  private wait(deletion: Deletion, seconds: number): void {
    deletion.timer = setTimeout(() => {
      // whoever is about to press the button has the time for it
      if (this.bar.matches(":hover, :focus-within") && deletion === this.waiting.at(-1)) this.wait(deletion, 1);
      else void this.commit(deletion);
    }, seconds * 1000);
  }

  private async commit(deletion: Deletion): Promise<void> {
    const { session } = deletion;
    this.waiting.splice(this.waiting.indexOf(deletion), 1);
    if (!this.around.isShown(session)) await this.erase(session.session_id, this.around.failed);
    this.changed();
  }

  private async erase(id: string, failed: (error: unknown) => void): Promise<void> {
    this.committing.add(id);
    this.changed();
    try {
      await this.clear(id);
      keepLeft(left().filter((each) => each !== id));
      this.around.gone(id);
    } catch (error) {
      failed(error);
    } finally {
      this.committing.delete(id);
    }
  }

  /** Delete what was deleted when the page was left, if the service has not done it: its answer was in progress, or the
   * connection broke. To be called when the list was read. */
  takeUp(): void {
    for (const id of left()) {
      if (!this.has(id)) void this.erase(id, () => undefined).then(() => this.changed());
    }
  }

  /** Delete it at the service. An answer that is in progress is stopped before. Raises LLMError. */
  private async clear(id: string): Promise<void> {
    for (const pause of [...BUSY_PAUSES, 0]) {
      try {
        await this.api.clearSession(id);
        return;
      } catch (error) {
        const status = error instanceof LLMError ? error.status : 0;
        if (status === 404) return;
        if (status !== 409 || !pause) throw error;
      }
      await this.api.stopSession(id).catch(() => undefined); // an older service has no such route
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }

  /** The page is left: what waits is deleted now. */
  private leave(): void {
    if (!this.waiting.length) return;
    keepLeft([...left(), ...this.waiting.map(({ session }) => session.session_id)]);
    for (const { session, timer } of this.waiting.splice(0)) {
      clearTimeout(timer);
      if (session.running) void this.leaving.stopSession(session.session_id).catch(() => undefined);
      void this.leaving.clearSession(session.session_id).catch(() => undefined);
    }
    this.changed();
  }

  private changed(): void {
    this.draw();
    this.around.changed();
  }

  private draw(): void {
    const last = this.waiting.at(-1)?.session;
    const hadFocus = this.bar.contains(document.activeElement);
    if (!last) this.bar.replaceChildren();
    else {
      const words = element("span", "", t.deleted(last.name || last.session_id));
      this.bar.replaceChildren(words, button(t.undo, "", () => this.undo()));
      if (hadFocus) this.bar.querySelector("button")?.focus();
    }
  }
}

function left(): string[] {
  try {
    const found: unknown = JSON.parse(kept.get(LEFT) ?? "[]");
    return Array.isArray(found) ? found.filter((each): each is string => typeof each === "string") : [];
  } catch {
    return [];
  }
}

function keepLeft(ids: string[]): void {
  if (ids.length) kept.set(LEFT, JSON.stringify(ids));
  else kept.remove(LEFT);
}
