// What is wrong with the service, and the key for it.
import { type LLMAPI, LLMError } from "./api";
import { at, button } from "./dom";
import { keptInTab } from "./storage";
import { t } from "./words";

const KEY = "agentkit-key";
const HEALTH_SECONDS = 15;

export const key = (): string | null => keptInTab.get(KEY);

export function showProblem(text: string): void {
  const problem = at("problem");
  problem.replaceChildren(text);
  problem.hidden = !text;
}

/** Show what is wrong. Returns what takes that away again, unless something else is shown by then. */
export function showError(error: unknown): () => void {
  if (error instanceof LLMError && error.status === 401) {
    showProblem(key() ? t.keyRejected : t.keyRequired);
    at("problem").append(" ", button(t.enterKey, "", askForKey));
  } else {
    showProblem(wordsOf(error) || t.pageProblem);
    if (error instanceof LLMError && error.lost === "foreign") {
      at("problem").append(" ", button(t.loadAgain, "", () => location.reload()));
    }
    if (!(error instanceof LLMError)) console.error(error);
  }
  const [shown] = at("problem").childNodes;
  return () => {
    if (at("problem").firstChild === shown) showProblem("");
  };
}

/** What is told of an error; "" for one of the page itself. */
export function wordsOf(error: unknown): string {
  if (!(error instanceof LLMError)) return "";
  if (error.lost === "foreign") return t.foreignAnswer;
  if (error.lost) return error.lost === "unreachable" ? t.serviceUnreachable : t.connectionBroke;
  return `${error.detail}${error.retryAfter ? ` ${t.again(error.retryAfter)}` : ""}`;
}

function askForKey(): void {
  at<HTMLInputElement>("key").value = key() ?? "";
  at<HTMLDialogElement>("key-dialog").showModal();
}

/** changed: called when there is another key. */
export function askForKeys(changed: () => void): void {
  at("settings").addEventListener("click", askForKey);
  at("key-cancel").addEventListener("click", () => at<HTMLDialogElement>("key-dialog").close());
  at("key-form").addEventListener("submit", () => {
    const given = at<HTMLInputElement>("key").value.trim();
    if (given) keptInTab.set(KEY, given);
    else keptInTab.remove(KEY);
    changed();
  });
}

/** Show from now on whether the service can answer. */
export function watchHealth(api: LLMAPI): void {
  const words = { ok: "", degraded: t.degraded, unavailable: t.unavailable };
  const check = async (): Promise<void> => {
    const shown = at("health");
    try {
      const { data } = await api.health();
      shown.dataset["status"] = data.status;
      shown.textContent = words[data.status];
    } catch {
      shown.dataset["status"] = "unavailable";
      shown.textContent = t.serviceUnreachable;
    }
  };
  void check();
  setInterval(() => document.hidden || void check(), HEALTH_SECONDS * 1000);
}
