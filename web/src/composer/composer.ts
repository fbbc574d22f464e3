// Where a message is written.
import type { LLMAPI } from "../api";
import type { Message } from "../conversation/conversation";
import { at, button, element } from "../dom";
import { newId } from "../routing";
import { t } from "../words";
import { Attached } from "./attached";
import { draftOf, keepDraft } from "./drafts";
import { EnterKey } from "./enter_key";

const MAX_REMEMBERED = 50;
const NOTHING = { text: "", images: [], attachments: [] };

type Written = Pick<Message, "text" | "images" | "attachments">;

export class Composer {
  private readonly field = at<HTMLTextAreaElement>("message");
  readonly attached: Attached;
  private readonly sent: string[] = [];
  private place = 0;
  private session = "";
  /** What was sent, until the service has it: the draft of its conversation. */
  private unsent = "";
  /** A message that was not answered: sent again as it was, it has the same id. */
  private returned: Message | undefined;
  private editing: ((message: Message) => void) | undefined;
  /** What was being written when something was edited, and in conversations that were left. */
  private aside: Written | undefined;
  private readonly written = new Map<string, Written>();

  constructor(
    api: LLMAPI,
    private readonly send: (message: Message) => void,
    private readonly canSend: () => boolean,
    showProblem: (text: string) => void,
  ) {
    const { field } = this;
    this.attached = new Attached(api, field, showProblem);
    const enter = new EnterKey(field);
    field.addEventListener("keydown", (event) => {
      if (enter.sends(event)) {
        event.preventDefault();
        this.submit();
      } else if (event.key === "ArrowUp") this.recall(event, -1);
      else if (event.key === "ArrowDown") this.recall(event, 1);
      else if (event.key === "Escape" && this.editing) {
        event.stopPropagation();
        this.stopEditing();
      }
    });
    field.addEventListener("input", () => this.changed());
    at("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
  }

  focus(): void {
    this.field.focus();
  }

  /** Show what was being written in a conversation. */
  open(session: string): void {
    this.stopEditing();
    if (this.field.value || !this.attached.isEmpty) this.written.set(this.session, this.now());
    else this.written.delete(this.session);
    this.session = session;
    this.returned = undefined;
    this.unsent = "";
    this.restore(this.written.get(session) ?? { text: draftOf(session), images: [], attachments: [] });
  }

  private now(): Written {
    const { images, attachments } = this.attached;
    return { text: this.field.value, images, attachments };
  }

  private restore({ text, images, attachments }: Written): void {
    this.attached.set(images, attachments);
    this.write(text);
  }

  /** The service has the message that was sent in a conversation. */
  noteSent(session: string): void {
    if (session === this.session) {
      this.unsent = "";
      this.changed();
    } else keepDraft(session, this.written.get(session)?.text ?? "");
  }

  /** A message of a conversation was not answered: it can be sent again. Returns false where something else is being
   * written; isWanted: then it stands before that. */
  putBack(session: string, message: Message, isWanted = false): boolean {
    if (session !== this.session) {
      const both = joined(message, this.written.get(session) ?? { ...NOTHING, text: draftOf(session) });
      this.written.set(session, both);
      keepDraft(session, both.text);
      return true;
    }
    this.stopEditing();
    const isFree = !this.field.value.trim() && this.attached.isEmpty;
    if (!isFree && !isWanted) return false;
    this.unsent = "";
    if (isFree) this.returned = message;
    this.restore(isFree ? message : joined(message, this.now()));
    return true;
  }

  /** Write an earlier message anew. What is being written is kept meanwhile. */
  edit({ text, images, attachments }: Message, send: (message: Message) => void): void {
    this.stopEditing();
    this.aside = this.now();
    this.editing = send;
    const bar = element("div", "editing", element("span", "", t.editLong), button(t.cancel, "", () => this.stopEditing()));
    bar.id = "editing";
    at("composer").prepend(bar);
    this.restore({ text, images, attachments });
    this.focus();
  }

  /** Put a text into the box, such as an example. */
  write(text: string): void {
    this.field.value = text;
    this.changed();
    this.place = this.sent.length;
  }

  private stopEditing(): void {
    if (!this.editing) return;
    at("editing")?.remove();
    this.restore(this.aside ?? NOTHING); // while it is edited no draft changes
    this.editing = this.aside = undefined;
  }

  private submit(): void {
    const text = this.field.value;
    if (!text.trim() || !this.canSend()) return;
    this.attached.onRead = (isWhole) => {
      this.attached.onRead = () => undefined;
      if (isWhole && this.field.value === text) this.submit();
    };
    if (this.attached.isReading) return; // it is sent when they are read
    this.attached.onRead = () => undefined;
    const { images, attachments } = this.attached;
    const { editing, returned } = this;
    const isAgain = returned?.text === text && returned.images === images && returned.attachments === attachments;
    const message: Message = { text, images, attachments, id: isAgain && !editing ? returned.id : newId() };
    this.sent.push(text);
    if (this.sent.length > MAX_REMEMBERED) this.sent.shift();
    if (editing) this.stopEditing();
    else {
      this.returned = undefined;
      this.unsent = text;
      this.restore(NOTHING);
    }
    (editing ?? this.send)(message);
  }

  private changed(): void {
    const { field } = this;
    if (!this.editing) keepDraft(this.session, field.value || this.unsent);
    field.dir = field.value ? "auto" : "";
    field.style.height = "auto";
    field.style.height = `${Math.min(field.scrollHeight + 2, innerHeight / 3)}px`;
  }

  /** Arrow up in an empty box, or in one with an earlier message, goes to the message before. */
  private recall(event: KeyboardEvent, step: number): void {
    const { field, sent } = this;
    const isRecalled = field.value === sent[this.place];
    if (event.shiftKey || event.isComposing || (field.value && !isRecalled) || !sent.length) return;
    const isAtEdge = field.selectionStart === (step < 0 ? 0 : field.value.length) || field.selectionEnd === field.value.length;
    const place = this.place + step;
    if (!isAtEdge || place < 0 || place > sent.length) return;
    event.preventDefault();
    this.write(sent[place] ?? "");
    this.place = place;
    field.setSelectionRange(field.value.length, field.value.length);
  }
}

/** A message that comes back, before what else is being written. */
function joined(message: Written, other: Written): Written {
  const isMore = other.text && other.text !== message.text;
  return {
    text: isMore ? `${message.text}\n\n${other.text}` : message.text,
    images: [...message.images, ...other.images],
    attachments: [...message.attachments, ...other.attachments],
  };
}
