// The chat page: sessions at the side, the conversation, and a place to write.
import { type Decision, type Frame, LLMAPI, LLMError, type SessionOut } from "./api";
import { AnswerView, historyViews, questionView } from "./conversation";
import { element } from "./dom";
import "./page.css";

const KEY = "agentkit-key";
const THEME = "agentkit-theme";
const MAX_IMAGE_BYTES = 4_000_000;

const at = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;
const log = at("log");
const message = at<HTMLTextAreaElement>("message");
const problem = at("problem");
// The page may lie under a path of a reverse proxy.
const api = new LLMAPI({ baseUrl: new URL(".", location.href).pathname, token: () => sessionStorage.getItem(KEY) });

let session = newId();
let sessions: SessionOut[] = [];
let running: AbortController | undefined;
let images: string[] = [];
let isFollowing = true;
/** The answer that may wait for a decision. */
let last: AnswerView | undefined;

function newId(): string {
  // not randomUUID: a page that is served over plain HTTP to another machine has none
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return `page-${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

// ---- what is wrong, and the key

function showProblem(text: string, wantsKey = false): void {
  problem.replaceChildren(text);
  problem.hidden = !text;
  if (text && wantsKey) {
    const button = element("button", "", "Enter API key");
    button.type = "button";
    button.addEventListener("click", askForKey);
    problem.append(" ", button);
  }
}

function showError(error: unknown): void {
  if (error instanceof LLMError && error.status === 401) {
    const has = Boolean(sessionStorage.getItem(KEY));
    showProblem(has ? "The service rejected this API key." : "The service requires an API key.", true);
  } else if (error instanceof LLMError) {
    showProblem(`${error.detail}${error.retryAfter ? ` (again in ${error.retryAfter} s)` : ""}`);
  } else {
    showProblem("Something went wrong on this page.");
    console.error(error);
  }
}

function askForKey(): void {
  at<HTMLInputElement>("key").value = sessionStorage.getItem(KEY) ?? "";
  at<HTMLDialogElement>("key-dialog").showModal();
}

const HEALTH = { ok: "", degraded: "Tools do not reach the model", unavailable: "The model server is unreachable" };

async function checkHealth(): Promise<void> {
  const shown = at("health");
  try {
    const { data } = await api.health();
    shown.dataset["status"] = data.status;
    shown.textContent = HEALTH[data.status];
    shown.title = data.detail ?? "";
  } catch {
    shown.dataset["status"] = "unavailable";
    shown.textContent = "The service is unreachable";
  }
}

// ---- the sessions

async function loadSessions(): Promise<boolean> {
  try {
    sessions = (await api.listSessions()).data.sessions;
    showProblem("");
  } catch (error) {
    showError(error);
    return false;
  }
  drawSessions();
  return true;
}

function drawSessions(): void {
  at("sessions").replaceChildren(...sessions.map(sessionView));
  const current = sessions.find((each) => each.session_id === session);
  at("title").textContent = current?.name || "New conversation";
}

function sessionView(seen: SessionOut): HTMLElement {
  const open = element("button", "open", seen.name || seen.session_id);
  open.type = "button";
  open.title = new Date(seen.updated).toLocaleString();
  open.addEventListener("click", () => void openSession(seen.session_id));
  if (seen.session_id === session) open.setAttribute("aria-current", "true");
  return element(
    "li",
    "",
    open,
    iconButton("✎", `Rename ${seen.name}`, () => askForName(seen)),
    iconButton("×", `Delete ${seen.name}`, () => void remove(seen)),
  );
}

function iconButton(sign: string, label: string, act: () => void): HTMLButtonElement {
  const made = element("button", "icon", sign);
  made.type = "button";
  made.setAttribute("aria-label", label);
  made.addEventListener("click", act);
  return made;
}

async function openSession(id: string): Promise<void> {
  stop();
  session = id;
  location.hash = encodeURIComponent(id);
  document.body.classList.remove("side-open");
  try {
    const { data } = await api.getSessionHistory(id);
    if (session !== id) return; // another was opened meanwhile
    const [views, waiting] = historyViews(data, follow, decide);
    log.replaceChildren(...views);
    last = waiting;
    showProblem("");
  } catch (error) {
    log.replaceChildren();
    if (!(error instanceof LLMError && error.status === 404)) showError(error);
  }
  drawSessions();
  isFollowing = true;
  requestAnimationFrame(follow);
}

function newSession(): void {
  stop();
  session = newId();
  history.replaceState(null, "", location.pathname);
  log.replaceChildren();
  last = undefined;
  document.body.classList.remove("side-open");
  drawSessions();
  message.focus();
}

async function remove(seen: SessionOut): Promise<void> {
  if (!confirm(`Delete "${seen.name || seen.session_id}"?`)) return;
  if (seen.session_id === session) stop();
  try {
    await api.clearSession(seen.session_id);
  } catch (error) {
    showError(error);
    return;
  }
  if (seen.session_id === session) newSession();
  await loadSessions();
}

function askForName(seen: SessionOut): void {
  const dialog = at<HTMLDialogElement>("name-dialog");
  dialog.dataset["session"] = seen.session_id;
  at<HTMLInputElement>("name").value = seen.name;
  dialog.showModal();
}

// ---- the conversation

async function send(): Promise<void> {
  const text = message.value;
  if (!text.trim() || running) return;
  const [own, sent] = [session, images];
  last?.closeWaiting("Not run: you wrote a message instead.");
  const view = new AnswerView(follow, decide);
  last = view;
  log.append(questionView(text, sent), view.root);
  message.value = "";
  setImages([]);
  grow();
  const isWhole = await show(view, (signal) => api.sessionStream(own, text, { images: sent, signal }));
  // else it is no part of the session: it can be sent again
  if (!isWhole && !problem.hidden && !message.value) message.value = text;
}

/** Go on with an answer that has waited for decisions, in its place. */
function decide(view: AnswerView, asked: string, approve: Record<string, Decision>): void {
  const own = session;
  view.goOn();
  void show(view, (signal) => api.decideStream(own, approve, { asked, signal })).then(async (isWhole) => {
    if (isWhole || session !== own) return;
    const told = problem.textContent ?? "";
    await openSession(own); // what waits now is shown
    showProblem(told);
  });
}

/** Show an answer as it arrives; returns whether it came to its end. */
async function show(view: AnswerView, ask: (signal: AbortSignal) => AsyncIterable<Frame>): Promise<boolean> {
  let isWhole = false;
  showProblem("");
  isFollowing = true;
  follow();
  const control = new AbortController();
  setRunning(control);
  try {
    for await (const frame of ask(control.signal)) view.take(frame);
    isWhole = true;
  } catch (error) {
    if (control.signal.aborted) view.fail("Stopped.");
    else {
      view.fail(error instanceof LLMError ? error.detail : "The connection broke.");
      showError(error);
    }
  }
  view.end();
  if (running === control) setRunning(undefined);
  const hadProblem = problem.hidden;
  if (hadProblem) await loadSessions();
  return isWhole;
}

function setRunning(control: AbortController | undefined): void {
  running = control;
  at("send").hidden = Boolean(control);
  at("stop").hidden = !control;
}

function stop(): void {
  running?.abort();
  setRunning(undefined);
}

/** Keep the end in sight, unless the reader has scrolled away from it; and what a long question begins with. */
function follow(): void {
  if (!isFollowing) return;
  log.scrollTop = log.scrollHeight;
  const asks = log.querySelector(".approval:not([data-decided])");
  if (asks && asks.getBoundingClientRect().top < log.getBoundingClientRect().top) asks.scrollIntoView();
}

function grow(): void {
  message.style.height = "auto";
  message.style.height = `${Math.min(message.scrollHeight, innerHeight / 3)}px`;
}

// ---- images

function setImages(urls: string[]): void {
  images = urls;
  at("images").replaceChildren(
    ...urls.map((url, place) => {
      const image = element("img");
      image.src = url;
      image.alt = `Image ${place + 1}`;
      const drop = iconButton("×", `Remove image ${place + 1}`, () =>
        setImages(images.filter((each) => each !== url)),
      );
      return element("li", "", image, drop);
    }),
  );
}

async function addImages(files: Iterable<File>): Promise<void> {
  for (const file of files) {
    if (!/^image\/(png|jpeg|webp|gif)$/.test(file.type)) continue;
    if (file.size > MAX_IMAGE_BYTES) {
      showProblem(`${file.name} is too large: images may have up to ${MAX_IMAGE_BYTES / 1e6} MB`);
      continue;
    }
    const url = await new Promise<string>((resolve, reject) => {
      const reader = new FileReader();
      reader.onload = () => resolve(String(reader.result));
      reader.onerror = () => reject(reader.error);
      reader.readAsDataURL(file);
    });
    setImages([...images, url]);
  }
}

// ---- what the reader does

at("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  void send();
});
message.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    void send();
  }
});
message.addEventListener("input", grow);
message.addEventListener("paste", (event) => void addImages(event.clipboardData?.files ?? []));
at("attach").addEventListener("click", () => at("file").click());
at<HTMLInputElement>("file").addEventListener("change", (event) => {
  const input = event.target as HTMLInputElement;
  void addImages([...(input.files ?? [])]).then(() => (input.value = ""));
});
at("stop").addEventListener("click", stop);
at("new").addEventListener("click", newSession);
at("open-side").addEventListener("click", () => document.body.classList.add("side-open"));
at("close-side").addEventListener("click", () => document.body.classList.remove("side-open"));
at("settings").addEventListener("click", askForKey);
at("key-cancel").addEventListener("click", () => at<HTMLDialogElement>("key-dialog").close());
at("key-form").addEventListener("submit", () => {
  const key = at<HTMLInputElement>("key").value.trim();
  if (key) sessionStorage.setItem(KEY, key);
  else sessionStorage.removeItem(KEY);
  void loadSessions();
});
at("name-cancel").addEventListener("click", () => at<HTMLDialogElement>("name-dialog").close());
at("name-form").addEventListener("submit", () => {
  const id = at("name-dialog").dataset["session"] ?? "";
  const name = at<HTMLInputElement>("name").value.trim();
  if (name) void api.renameSession(id, name).then(loadSessions, showError);
});
log.addEventListener("scroll", () => {
  isFollowing = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !document.querySelector("dialog[open]")) {
    if (document.body.classList.contains("side-open")) document.body.classList.remove("side-open");
    else stop();
  } else if (event.altKey && event.key.toLowerCase() === "n") {
    event.preventDefault();
    newSession();
  }
});

// ---- light or dark

function setTheme(theme: string | null): void {
  if (theme) document.documentElement.dataset["theme"] = theme;
}

at("theme").addEventListener("click", () => {
  const isDark = document.documentElement.dataset["theme"]
    ? document.documentElement.dataset["theme"] === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  const theme = isDark ? "light" : "dark";
  localStorage.setItem(THEME, theme);
  setTheme(theme);
});

// ---- the start

setTheme(localStorage.getItem(THEME));
void checkHealth();
setInterval(() => void checkHealth(), 15_000);
void loadSessions().then((isThere) => {
  const wanted = decodeURIComponent(location.hash.slice(1));
  if (isThere && wanted) void openSession(wanted);
});
message.focus();
