// The list of conversations.
import { LLMError, type LLMAPI, type SessionOut } from "../api";
import { at, element, iconButton } from "../dom";
import { language, t } from "../words";

/** What the rest of the page does for the list. */
export interface Chosen {
  /** The conversation that is shown. */
  current(): string;
  open(session: string): void;
  /** The conversation that is shown was deleted. */
  startNew(): void;
  showError(error: unknown): void;
}

export class Sidebar {
  private sessions: SessionOut[] = [];

  constructor(
    private readonly api: LLMAPI,
    private readonly chosen: Chosen,
  ) {
    at("open-side").addEventListener("click", () => document.body.classList.add("side-open"));
    at("close-side").addEventListener("click", () => this.hide());
    at("name-cancel").addEventListener("click", () => at<HTMLDialogElement>("name-dialog").close());
    at("name-form").addEventListener("submit", () => void this.rename());
  }

  /** Whether it lies over the conversation. */
  get isOpen(): boolean {
    return document.body.classList.contains("side-open");
  }

  hide(): void {
    document.body.classList.remove("side-open");
  }

  /** Read the list anew; returns whether that was possible. */
  async load(): Promise<boolean> {
    try {
      this.sessions = (await this.api.listSessions()).data.sessions;
    } catch (error) {
      this.chosen.showError(error);
      return false;
    }
    this.draw();
    return true;
  }

  draw(): void {
    at("sessions").replaceChildren(...this.sessions.map((each) => this.itemOf(each)));
    const current = this.sessions.find((each) => each.session_id === this.chosen.current());
    at("title").textContent = current?.name || t.newConversation;
    document.title = current?.name || "agentkit";
  }

  private itemOf(seen: SessionOut): HTMLElement {
    const open = element("button", "open", seen.name || seen.session_id);
    open.type = "button";
    open.dir = "auto";
    open.title = new Date(seen.updated).toLocaleString(language);
    open.addEventListener("click", () => this.chosen.open(seen.session_id));
    if (seen.session_id === this.chosen.current()) open.setAttribute("aria-current", "true");
    const rename = iconButton("✎", t.rename(seen.name), () => this.askForName(seen));
    return element("li", "", open, rename, iconButton("×", t.delete(seen.name), () => void this.remove(seen)));
  }

  private askForName(seen: SessionOut): void {
    const dialog = at<HTMLDialogElement>("name-dialog");
    dialog.dataset["session"] = seen.session_id;
    at<HTMLInputElement>("name").value = seen.name;
    dialog.showModal();
  }

  private async rename(): Promise<void> {
    const name = at<HTMLInputElement>("name").value.trim();
    if (!name) return;
    try {
      await this.api.renameSession(at("name-dialog").dataset["session"] ?? "", name);
      await this.load();
    } catch (error) {
      this.chosen.showError(error);
    }
  }

  private async remove(seen: SessionOut): Promise<void> {
    try {
      await this.api.clearSession(seen.session_id);
    } catch (error) {
      if (!(error instanceof LLMError && error.status === 404)) return this.chosen.showError(error);
    }
    if (seen.session_id === this.chosen.current()) this.chosen.startNew();
    await this.load();
  }
}
