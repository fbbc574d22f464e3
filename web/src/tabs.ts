// The tabs of one browser tell each other in which conversation something was sent, and which is gone.

const channel = "BroadcastChannel" in window ? new BroadcastChannel("agentkit-sent") : undefined;

/** Tell the other tabs that something was sent in a conversation, or that it is gone. */
export function tellTabs(session: string): void {
  channel?.postMessage(session);
}

/** Call it when another tab has told so. One that is hidden need not read anything: it does when it is looked at. */
export function onTold(act: (session: string) => void): void {
  channel?.addEventListener("message", ({ data }) => act(String(data)));
}
