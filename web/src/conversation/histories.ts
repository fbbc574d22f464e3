// What a history says of the turns that are shown.
import type { History, Turn } from "../api";
import type { Versions } from "./actions";

/** Whether a history has a question behind what was there before it was sent. before: the number of turns. */
export function hasQuestion({ messages }: History, text: string, before: number): boolean {
  return messages.slice(before).some((turn) => turn.role === "user" && turn.content.trim() === text.trim());
}

/** The conversations that part at a turn; undefined where there is but the one. */
export function versionsAt(history: History, turn: Turn, open: (session: string) => void): Versions | undefined {
  const apart = (history.branches ?? []).filter((each) => each.begins === turn.begins);
  const sessions = apart.map((each) => each.session_id);
  const shown = sessions.indexOf(history.session_id);
  return turn.role === "user" && sessions.length > 1 && shown >= 0 ? { sessions, shown, open } : undefined;
}

/** Whether it ends with an answer that is complete. */
export function isComplete({ messages }: History): boolean {
  const stopped = messages.at(-1)?.stopped;
  return Boolean(stopped) && stopped !== "approval";
}

/** Whether it ends with a question to which no answer is in progress: the same message, sent again, gets one. */
export function isUnanswered({ messages, running }: History): boolean {
  return !running && messages.at(-1)?.role === "user";
}

/** How many turns, from the first on, are the same in two histories. The last of each does not count: what can be done
 * with it may have changed. */
export function sameTurns(one: History | undefined, other: History): number {
  const most = Math.min(one?.messages.length ?? 0, other.messages.length) - 1;
  let same = 0;
  while (same < most && JSON.stringify(one!.messages[same]) === JSON.stringify(other.messages[same])) same++;
  return same;
}

/** Whether something else is to be shown of it. */
export function isOther(one: History, other: History): boolean {
  const shown = ({ messages, asked, branches }: History): string => JSON.stringify([messages, asked, branches]);
  return shown(one) !== shown(other);
}
