// A link under which others can read a conversation as it is now, until it is taken back.
import type { LLMAPI, SessionOut } from "../api";
import { copied } from "../clipboard";
import { openDialog } from "../dialogs";
import { at } from "../dom";
import { sharedAddress } from "../routing";
import { t } from "../words";

export class Sharing {
  private readonly address = at<HTMLInputElement>("share-address");
  private id = "";

  constructor(private readonly api: LLMAPI) {
    at("share-make").addEventListener("click", () => void this.change(() => this.make()));
    at("share-renew").addEventListener("click", () => void this.change(() => this.make()));
    at("share-end").addEventListener("click", () => void this.change(() => this.end()));
    at("share-copy").addEventListener("click", () => void this.copy());
    this.address.addEventListener("focus", () => this.address.select());
  }

  /** Show the link of a conversation, or offer to make one. */
  async open({ session_id, name }: SessionOut): Promise<void> {
    this.id = session_id;
    at("share-name").textContent = name || session_id;
    this.show(null);
    openDialog("share-dialog");
    await this.change(async () => (await this.api.getSessionHistory(session_id)).data.shared ?? null);
  }

  private async make(): Promise<string> {
    const { token } = (await this.api.shareSession(this.id)).data;
    this.say(t.linkMade);
    return token;
  }

  private async end(): Promise<null> {
    await this.api.unshareSession(this.id);
    this.say(t.linkEnded);
    return null;
  }

  private async copy(): Promise<void> {
    this.address.focus();
    this.say((await copied(this.address.value)) ? t.copied : t.copyByHand);
  }

  /** Do something at the service that tells the token of the link, and show it; what fails is said in the dialog. */
  private async change(ask: () => Promise<string | null>): Promise<void> {
    const { id } = this;
    this.say("");
    try {
      const token = await ask();
      if (this.id === id) this.show(token);
    } catch (error) {
      if (this.id === id) this.say(error instanceof Error ? error.message : String(error));
    }
  }

  private show(token: string | null): void {
    this.address.value = token ? sharedAddress(token) : "";
    const before = document.activeElement;
    at("share-link").hidden = !token;
    at("share-make").hidden = token !== null;
    at("share-end").hidden = at("share-renew").hidden = token === null;
    if (before instanceof HTMLElement && before.hidden) at(token ? "share-copy" : "share-make").focus();
  }

  private say(text: string): void {
    at("share-said").textContent = text;
  }
}
