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
    const [key, name] = session.pinned ? ["pinned", t.pinned] : dateGroup(new Date(session.updated), now);
    const group = groups.get(key);
    if (group) group.sessions.push(session);
    else groups.set(key, { key, name, sessions: [session] });
  }
  return [...groups.values()];
}

/** Key and name of the group of a time. */
function dateGroup(time: Date, now: Date): [string, string] {
  const days = Math.round((dayOf(now) - dayOf(time)) / DAY);
  if (!(days > 0)) return ["0", capital(relative.format(0, "day"))]; // a clock that is behind sees times to come
  if (days === 1) return ["1", capital(relative.format(-1, "day"))];
  if (days <= WEEK_DAYS) return ["week", t.lastDays(WEEK_DAYS)];
  const isThisYear = time.getFullYear() === now.getFullYear();
  const options: Intl.DateTimeFormatOptions = isThisYear ? { month: "long" } : { month: "long", year: "numeric" };
  return [`${time.getFullYear()}-${time.getMonth()}`, capital(time.toLocaleDateString(language, options))];
}

/** A number for the reader's calendar day of a time; days in which the clock is changed have other lengths. */
function dayOf(time: Date): number {
  return Date.UTC(time.getFullYear(), time.getMonth(), time.getDate());
}

function capital(name: string): string {
  const [first = "", ...rest] = name;
  return first.toLocaleUpperCase(language) + rest.join("");
}
