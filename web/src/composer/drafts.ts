// What is being written in each conversation, and anew in the place of an earlier message, kept until it is sent.
import { kept } from "../storage";

const DRAFTS = "agentkit-drafts";
const EDITS = "agentkit-edits";
const MOST = 50;
const MAX_CHARACTERS = 20_000;

/** Of a message that was sent, and that the service may have. id: its idempotency key, with which it is not asked twice;
 * "" where it can't be sent as it was. before: how many turns the conversation had. */
export interface Sent {
  id: string;
  before: number;
}

export interface Draft {
  text: string;
  sent?: Sent;
}

function all(name: string): Record<string, unknown> {
  try {
    const found: unknown = JSON.parse(kept.get(name) ?? "{}");
    return typeof found === "object" && found !== null ? (found as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** Keep a value; undefined removes it. The oldest ones are forgotten. */
function keep(name: string, id: string, value: unknown): void {
  const there = all(name);
  if (JSON.stringify(there[id]) === JSON.stringify(value)) return;
  delete there[id];
  if (value !== undefined) there[id] = value;
  kept.set(name, JSON.stringify(Object.fromEntries(Object.entries(there).slice(-MOST))));
}

export function draftOf(id: string): Draft {
  const found = all(DRAFTS)[id];
  if (typeof found === "string") return { text: found };
  const { text, sent } = (found ?? {}) as Partial<Draft>;
  if (typeof text !== "string") return { text: "" };
  return sent && typeof sent.id === "string" && Number.isInteger(sent.before) ? { text, sent } : { text };
}

/** Keep a draft; one without text is removed. */
export function keepDraft(id: string, { text, sent }: Draft): void {
  const isKept = text && text.length <= MAX_CHARACTERS;
  keep(DRAFTS, id, isKept ? (sent ? { text, sent } : text) : undefined);
}

const editKey = (id: string, begins: number): string => `${id}#${begins}`;

/** The message of a conversation that was being written anew last: its `begins`. */
export function editedIn(id: string): number | undefined {
  const found = Object.keys(all(EDITS)).filter((key) => key.startsWith(`${id}#`) && /^\d+$/.test(key.slice(id.length + 1)));
  return found.length ? Number(found.at(-1)!.slice(id.length + 1)) : undefined;
}

/** What was being written in the place of a message; undefined for nothing. */
export function editOf(id: string, begins: number): string | undefined {
  const found = all(EDITS)[editKey(id, begins)];
  return typeof found === "string" ? found : undefined;
}

/** Keep it; undefined removes it. */
export function keepEdit(id: string, begins: number, text: string | undefined): void {
  keep(EDITS, editKey(id, begins), text !== undefined && text.length <= MAX_CHARACTERS ? text : undefined);
}

/** A conversation is gone. */
export function forgetWritten(id: string): void {
  keepDraft(id, { text: "" });
  for (let begins = editedIn(id); begins !== undefined; begins = editedIn(id)) keepEdit(id, begins, undefined);
}
