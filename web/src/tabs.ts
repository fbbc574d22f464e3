// The tabs of one browser tell each other in which conversation something was sent.

const channel = "BroadcastChannel" in window ? new BroadcastChannel("agentkit-sent") : undefined;

/** Tell the other tabs that something was sent in a conversation. */
export function tellTabs(session: string): void {
  channel?.postMessage(session);
}

/** Call it when another tab has told so. One that is hidden is not told: it asks when it is looked at. */
export function onTold(act: (session: string) => void): void {
  channel?.addEventListener("message", ({ data }) => document.hidden || act(String(data)));
}
