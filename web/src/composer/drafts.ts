// What is being written in each conversation, kept until it is sent.
import { kept } from "../storage";

const DRAFTS = "agentkit-drafts";
const MAX_DRAFTS = 50;
const MAX_CHARACTERS = 20_000;

function all(): Record<string, string> {
  try {
    const found: unknown = JSON.parse(kept.get(DRAFTS) ?? "{}");
    return typeof found === "object" && found !== null ? (found as Record<string, string>) : {};
  } catch {
    return {};
  }
}

export function draftOf(id: string): string {
  const found = all()[id];
  return typeof found === "string" ? found : "";
}

/** Keep a draft; "" removes it. The oldest ones are forgotten. */
export function keepDraft(id: string, text: string): void {
  const drafts = all();
  if ((drafts[id] ?? "") === text) return;
  delete drafts[id];
  if (text && text.length <= MAX_CHARACTERS) drafts[id] = text;
  kept.set(DRAFTS, JSON.stringify(Object.fromEntries(Object.entries(drafts).slice(-MAX_DRAFTS))));
}
