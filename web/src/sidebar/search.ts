// Looking for conversations: by their names at once, and at the service, which also looks into their texts.
import { type FoundSession, type LLMAPI, LLMError, type SessionOut } from "../api";
import { at } from "../dom";
import { t } from "../words";

const PAUSE = 250; // milliseconds after the last key
const INTERVAL = 1500; // milliseconds at least between two searches: they count for the rate that messages have, too
/** The keyboards of Android compose each word, also of Latin letters: a search that waited for its end would seem to do
 * nothing. */
const COMPOSES_EACH_WORD = /android/i.test(navigator.userAgent);

/** A conversation that was found. snippet: a passage of it. */
export type Found = SessionOut & Partial<Pick<FoundSession, "snippet" | "matches">>;

/** What the list does for the search. */
export interface Around {
  sessions(): readonly SessionOut[];
  /** There is something else to show. */
  changed(): void;
  /** Move the focus into what was found. */
  toFound(): void;
  failed(error: unknown): void;
}

export class Search {
  /** What was found; undefined where nothing is looked for. */
  found: Found[] | undefined;
  private readonly field = at<HTMLInputElement>("search");
  private timer: ReturnType<typeof setTimeout> | undefined;
  private asked: AbortController | undefined;
  private askedAt = -Infinity;
  private isAtService = true;

  constructor(
    private readonly api: LLMAPI,
    private readonly around: Around,
  ) {
    this.field.addEventListener("input", (event) => {
      if (!(event as InputEvent).isComposing || COMPOSES_EACH_WORD) this.begin();
    });
    this.field.addEventListener("compositionend", () => this.begin());
    this.field.addEventListener("keydown", (event) => this.keyPressed(event));
  }

  get query(): string {
    return this.field.value.trim();
  }

  /** The words that are looked for. */
  get words(): string[] {
    return this.query.split(/\s+/).filter(Boolean);
  }

  focus(): void {
    this.field.focus();
    this.field.select();
  }

  clear(): void {
    this.field.value = "";
    this.begin();
  }

  private begin(pause = PAUSE): void {
    clearTimeout(this.timer);
    this.asked?.abort();
    this.asked = undefined;
    const wait = Math.max(pause, this.askedAt + INTERVAL - performance.now());
    if (!this.query) {
      this.found = undefined;
      this.say("");
      return this.around.changed();
    }
    if (pause) this.show(this.byName()); // until the service has answered
    this.timer = setTimeout(() => void this.ask(), wait);
  }

  private byName(): SessionOut[] {
    const words = this.words.map(plain);
    return this.around.sessions().filter(({ name }) => words.every((word) => plain(name).includes(word)));
  }

  private async ask(): Promise<void> {
    if (!this.isAtService) return this.finish(this.byName());
    const asked = new AbortController();
    this.asked = asked;
    this.askedAt = performance.now();
    try {
      const { sessions, complete } = (await this.api.searchSessions(this.query, asked.signal)).data;
      if (this.asked === asked) this.finish(sessions, complete);
    } catch (error) {
      if (this.asked !== asked) return; // something else is looked for
      this.isAtService = !(error instanceof LLMError && (error.status === 404 || error.status === 405));
      this.finish(this.byName());
      if (this.isAtService) this.around.failed(error);
    }
  }

  /** isAll: whether all conversations were searched. */
  private finish(found: Found[], isAll = true): void {
    this.show(found);
    this.say(isAll ? t.found(found.length) : t.foundSome(found.length));
  }

  private show(found: Found[]): void {
    this.found = found;
    this.around.changed();
  }

  private say(text: string): void {
    at("found").textContent = text;
  }

  private keyPressed(event: KeyboardEvent): void {
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Escape" && this.field.value) {
      event.preventDefault();
      event.stopPropagation();
      this.clear();
    } else if (event.key === "ArrowDown") {
      event.preventDefault();
      this.around.toFound();
    } else if (event.key === "Enter") {
      event.preventDefault();
      this.begin(0);
    }
  }
}

/** A text as it is compared: without case, width and accents' forms. */
export function plain(text: string): string {
  return text.normalize("NFKC").toLowerCase();
}
