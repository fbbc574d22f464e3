// The address says which conversation is shown: `#ID`, or `#shared/TOKEN` for one that somebody shares.

export type Route = { conversation: string } | { shared: string };

const SHARED = "shared/";

export function newId(): string {
  // not randomUUID: a page that is served over plain HTTP to another machine has none
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return `page-${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** What the address names; undefined where it names nothing, or is cut. */
export function currentRoute(): Route | undefined {
  const hash = location.hash.slice(1);
  let named = "";
  try {
    named = decodeURIComponent(hash);
  } catch {
    return undefined;
  }
  // the slash of an id is escaped: any client may call a conversation "shared/..."
  if (hash.startsWith(SHARED)) return { shared: named.slice(SHARED.length) };
  return named ? { conversation: named } : undefined;
}

/** The address of a conversation. */
export function addressOf(id: string): string {
  return `${location.pathname}${location.search}#${encodeURIComponent(id)}`;
}

/** Put a conversation into the address. replace: instead of the address that was there. */
export function showInAddress(id: string, replace = false): void {
  const route = currentRoute();
  if (route && "conversation" in route && route.conversation === id) return;
  if (replace) history.replaceState(null, "", addressOf(id));
  else history.pushState(null, "", addressOf(id));
}

/** The address of a conversation that is shared. */
export function sharedAddress(token: string): string {
  return `${location.origin}${location.pathname}${location.search}#${SHARED}${encodeURIComponent(token)}`;
}

/** Call it when the reader changes the address: the back button, or typing. */
export function onRoute(change: () => void): void {
  addEventListener("popstate", change); // also for a typed #id
}
