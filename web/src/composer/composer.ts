// Where a message is written.
import type { LLMAPI } from "../api";
import type { Message } from "../conversation/conversation";
import { at, button, element } from "../dom";
import { newId } from "../routing";
import { t } from "../words";
import { Attached } from "./attached";
import { draftOf, editedIn, editOf, keepDraft, keepEdit, type Sent } from "./drafts";
import { EnterKey, isPhone } from "./enter_key";

const MAX_REMEMBERED = 50;
/** Whether the browser makes a field as high as its text. To measure it lays the whole conversation out, with each key. */
const SIZES_ITSELF = CSS.supports("field-sizing", "content");
/** sent: it was sent as it is, and was not answered. Sent again, it has the same id. */
type Written = Pick<Message, "text" | "images" | "attachments"> & { sent?: Sent };

const NOTHING: Written = { text: "", images: [], attachments: [] };

/** An earlier message that is written anew. */
interface Editing {
  begins: number;
  /** What it was. */
  text: string;
  send: (message: Message) => void;
}

export class Composer {
  private readonly field = at<HTMLTextAreaElement>("message");
  readonly attached: Attached;
  private readonly sent: string[] = [];
  private place = 0;
  private session = "";
  /** What was sent, until the service has it: the draft of its conversation. */
  private unsent: Message | undefined;
  /** What is in the box of a message that was not answered, as long as nothing of it is changed. */
  private returned: Written | undefined;
  private editing: Editing | undefined;
  /** What was being written when something was edited. */
  private aside: Written | undefined;
  /** What was being written in conversations that were left, and in edits of them that were left (by `editKey`). */
  private readonly written = new Map<string, Written>();
  private readonly edits = new Map<string, Written>();

  constructor(
    api: LLMAPI,
    private readonly send: (message: Message) => void,
    private readonly canSend: () => boolean,
    /** How many turns the conversation has. */
    private readonly turns: () => number,
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
        this.cancel();
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

  /** Put the focus into the box, when what had it is gone; not on a phone, whose keyboard would cover half of the page. */
  takeFocus(): void {
    if (!isPhone()) this.focus();
  }

  /** Show what was being written in a conversation. */
  open(session: string): void {
    this.leaveEdit();
    if (this.field.value || !this.attached.isEmpty) this.written.set(this.session, this.now());
    else this.written.delete(this.session);
    this.session = session;
    this.unsent = undefined;
    this.restore(this.draftOf(session));
  }

  /** Show a conversation in the place of one that is gone, and go on writing in it. */
  move(session: string): void {
    const there = this.editing ? joined(this.now(), this.aside ?? NOTHING) : this.now();
    const { text, images, attachments } = there;
    this.open(session);
    this.restore({ text, images, attachments });
  }

  /** What is written of a conversation that is not shown. */
  private draftOf(session: string): Written {
    return this.written.get(session) ?? { ...NOTHING, ...draftOf(session) };
  }

  private now(): Written {
    const { images, attachments } = this.attached;
    const text = this.field.value;
    const { returned } = this;
    const isUnchanged = returned?.text === text && returned.images === images && returned.attachments === attachments;
    return isUnchanged ? returned : { text, images, attachments };
  }

  private restore(written: Written): void {
    this.returned = written.sent && written;
    this.attached.set(written.images, written.attachments);
    this.write(written.text);
  }

  /** The service has a message that was sent in a conversation. */
  noteSent(session: string, id: string): void {
    if (!id) return; // a decision
    if (session !== this.session) {
      if (this.draftOf(session).sent?.id !== id) return;
      this.written.delete(session);
      keepDraft(session, NOTHING);
    } else if (this.unsent?.id === id) {
      this.unsent = undefined;
      this.changed();
    } else this.drop((sent) => sent.id === id);
  }

  /** The history of the conversation that is shown was read: a message that is in it need not be sent again. isIn:
   * whether it is, behind so many turns. */
  noteHistory(isIn: (text: string, before: number) => boolean): void {
    if (this.unsent && isIn(this.unsent.text, this.unsent.before)) {
      this.unsent = undefined;
      this.changed();
    }
    this.drop(({ before }, text) => isIn(text, before));
  }

  /** Take a message that was sent out of the box, unless it was changed since. */
  private drop(isIt: (sent: Sent, text: string) => boolean): void {
    const { sent, text } = this.editing ? (this.aside ?? NOTHING) : this.now();
    if (!sent || !isIt(sent, text)) return;
    if (this.editing) this.setAside(NOTHING);
    else this.restore(NOTHING);
  }

  private setAside(written: Written): void {
    this.aside = written;
    keepDraft(this.session, stored(written));
  }

  /** A message of a conversation was not answered: it can be sent again. Returns false where something else is being
   * written; isWanted: then it stands before that. */
  putBack(session: string, { id, before, ...message }: Message, isWanted = false): boolean {
    const back: Written = { ...message, sent: { id, before } };
    if (session !== this.session) {
      const both = joined(back, this.draftOf(session));
      this.written.set(session, both);
      keepDraft(session, stored(both));
      return true;
    }
    const there = this.editing ? (this.aside ?? NOTHING) : this.now();
    const isFree = !there.text.trim() && !there.images.length && !there.attachments.length;
    if (!isFree && !isWanted && there.sent?.id !== id) return false;
    this.unsent = undefined;
    if (isWanted) this.leaveEdit(); // it is kept, and opened again by the button
    if (this.editing) this.setAside(joined(back, there));
    else this.restore(joined(back, there));
    return true;
  }

  /** Write an earlier message anew, or go on with that. What else is being written is kept meanwhile. begins: its place
   * in the conversation. */
  edit(begins: number, { text, images, attachments }: Message, send: (message: Message) => void): void {
    this.leaveEdit();
    const key = editKey(this.session, begins);
    const left = this.edits.get(key) ?? { text: editOf(this.session, begins) ?? text, images, attachments };
    this.aside = this.now();
    this.editing = { begins, text, send };
    const bar = element("div", "editing", element("span", "", t.editLong), button(t.cancel, "", () => this.cancel()));
    bar.id = "editing";
    at("composer").prepend(bar);
    this.restore(left);
  }

  /** The message of a conversation that was being written anew when it was left: its place. */
  editedIn(session: string): number | undefined {
    return editedIn(session);
  }

  /** What was written anew in the place of a message is sent, or given up. */
  endEdit(session: string, begins: number): void {
    this.edits.delete(editKey(session, begins));
    keepEdit(session, begins, undefined);
  }

  /** Put a text into the box, such as an example. */
  write(text: string): void {
    this.field.value = text;
    this.changed();
    this.place = this.sent.length;
  }

  private cancel(): void {
    const { editing } = this;
    this.leaveEdit();
    if (editing) this.endEdit(this.session, editing.begins);
    this.takeFocus();
  }

  /** Show again what was being written before something was edited. What was written of that is kept. */
  private leaveEdit(): void {
    if (!this.editing) return;
    this.edits.set(editKey(this.session, this.editing.begins), this.now());
    at("editing")?.remove();
    const { aside } = this;
    this.editing = this.aside = undefined;
    this.restore(aside ?? NOTHING);
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
    const { sent, ...written } = this.now();
    const { editing } = this;
    const isAgain = sent?.id && !editing;
    const message: Message = { ...written, ...(isAgain ? sent : { id: newId(), before: this.turns() }) };
    this.sent.push(text);
    if (this.sent.length > MAX_REMEMBERED) this.sent.shift();
    if (editing) this.leaveEdit();
    else {
      this.unsent = message;
      this.restore(NOTHING);
    }
    (editing?.send ?? this.send)(message);
  }

  private changed(): void {
    const { field, editing, unsent } = this;
    if (editing) keepEdit(this.session, editing.begins, field.value === editing.text ? undefined : field.value);
    else if (field.value || !unsent) keepDraft(this.session, stored(this.now()));
    else keepDraft(this.session, stored({ ...unsent, sent: unsent }));
    field.dir = field.value ? "auto" : "";
    if (SIZES_ITSELF) return;
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

const editKey = (session: string, begins: number): string => `${session}#${begins}`;

/** A message that comes back, before what else is being written. */
function joined(message: Written, other: Written): Written {
  const isOther = Boolean(other.text && other.text !== message.text);
  const hasFiles = other.images.length > 0 || other.attachments.length > 0;
  if (other.sent && other.sent.id === message.sent?.id) return message;
  if (!isOther && !hasFiles) return message;
  return {
    text: isOther ? `${message.text}\n\n${other.text}` : message.text,
    images: [...message.images, ...other.images],
    attachments: [...message.attachments, ...other.attachments],
  };
}

/** What of it the browser keeps: not the images and files, so that a message with some can't be sent as it was. */
function stored({ text, images, attachments, sent }: Written): { text: string; sent?: Sent } {
  const isWhole = !images.length && !attachments.length;
  return sent ? { text, sent: { id: isWhole ? sent.id : "", before: sent.before } } : { text };
}
