// The list by date: what is pinned, then today, yesterday, the last week, and months, in the reader's calendar and words.
import type { SessionOut } from "../api";
import { language, t } from "../words";

export interface Group {
  /** Stands for the group, whatever its name is. */
  key: string;
  name: string;
  sessions: SessionOut[];
}

const DAY = 24 * 60 * 60 * 1000;
const WEEK_DAYS = 7;
const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto" });

/** The groups that have something in them, in their order. sessions: the newest first. */
export function grouped(sessions: readonly SessionOut[], now = new Date()): Group[] {
  const groups = new Map<string, Group>();
  const pinnedFirst = [...sessions.filter((each) => each.pinned), ...sessions.filter((each) => !each.pinned)];
  for (const session of pinnedFirst) {
    const time = new Date(session.updated);
    const key = session.pinned ? "pinned" : keyOf(time, now);
    const group = groups.get(key);
    if (group) group.sessions.push(session);
    else groups.set(key, { key, name: nameOf(key, time, now), sessions: [session] });
  }
  return [...groups.values()];
}

/** The group of a time. */
function keyOf(time: Date, now: Date): string {
  const days = Math.round((dayOf(now) - dayOf(time)) / DAY);
  if (!(days > 0)) return "today"; // a clock that is behind sees times to come
  if (days === 1) return "yesterday";
  return days <= WEEK_DAYS ? "week" : `${time.getFullYear()}-${time.getMonth()}`;
}

/** What a group is called. time: one in it. To make a formatter takes long: it is done once a group. */
function nameOf(key: string, time: Date, now: Date): string {
  if (key === "pinned") return t.pinned;
  if (key === "today") return capital(relative.format(0, "day"));
  if (key === "yesterday") return capital(relative.format(-1, "day"));
  if (key === "week") return t.lastDays(WEEK_DAYS);
  const isThisYear = time.getFullYear() === now.getFullYear();
  return capital(time.toLocaleDateString(language, isThisYear ? { month: "long" } : { month: "long", year: "numeric" }));
}

/** A number for the reader's calendar day of a time; days in which the clock is changed have other lengths. */
function dayOf(time: Date): number {
  return Date.UTC(time.getFullYear(), time.getMonth(), time.getDate());
}

function capital(name: string): string {
  const [first = "", ...rest] = name;
  return first.toLocaleUpperCase(language) + rest.join("");
}
