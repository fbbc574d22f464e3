// The chat page: conversations at the side, the one that is shown, and a place to write.
import { LLMAPI } from "./api";
import { Composer } from "./composer/composer";
import { Conversation, sharedViews } from "./conversation/conversation";
import { at } from "./dom";
import { currentRoute, newId, onRoute, showInAddress } from "./routing";
import { askForKeys, key, showError, showProblem, watchHealth } from "./service";
import { Sidebar } from "./sidebar/sidebar";
import { switchTheme } from "./theme";
import { language, translate } from "./words";
import "./page.css";

document.documentElement.lang = language;
translate(document);

// The page may lie under a path of a reverse proxy.
const api = new LLMAPI({ baseUrl: new URL(".", location.href).pathname, token: key });

const conversation = new Conversation(api, at("log"), {
  changed: () => void sidebar.load(),
  showError,
  clearError: () => showProblem(""),
  setRunning: (isRunning) => {
    at("send").hidden = isRunning;
    at("stop").hidden = !isRunning;
  },
  putBack: (message) => composer.putBack(message),
  open,
  edit: (question, send) => composer.edit(question, send),
  options: () => ({}),
});
const composer = new Composer(
  api,
  (message) => void conversation.send(message),
  () => !conversation.isRunning,
  showProblem,
);
const sidebar = new Sidebar(api, {
  current: () => conversation.id,
  open: (session) => void open(session),
  startNew,
  showError,
});

/** Show a conversation, and put it into the address. */
async function open(id: string): Promise<void> {
  showInAddress(id);
  await show(id);
}

async function show(id: string): Promise<void> {
  document.body.classList.remove("shared");
  sidebar.hide();
  composer.open(id);
  const opened = conversation.open(id);
  sidebar.draw();
  await opened;
}

function startNew(): void {
  if (conversation.isEmpty && !conversation.isRunning) sidebar.hide();
  else void open(newId());
  composer.focus();
}

/** A conversation that somebody shares, to be read. */
async function showShared(token: string): Promise<void> {
  document.body.classList.add("shared");
  try {
    const { data } = await api.getShared(token);
    at("log").replaceChildren(...sharedViews(data.messages));
    at("title").textContent = document.title = data.name;
  } catch (error) {
    showError(error);
  }
}

async function follow(): Promise<void> {
  const route = currentRoute();
  if (route && "shared" in route) await showShared(route.shared);
  else if (route && route.conversation !== conversation.id) await show(route.conversation);
  else if (!route) {
    const id = newId();
    showInAddress(id, true); // a new conversation has its address at once
    await show(id);
  }
}

askForKeys(() => void sidebar.load().then((isThere) => isThere && void conversation.open(conversation.id)));
at("stop").addEventListener("click", () => conversation.stop());
at("new").addEventListener("click", startNew);
at("theme").addEventListener("click", switchTheme);
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !document.querySelector("dialog[open]")) {
    if (sidebar.isOpen) sidebar.hide();
    else conversation.stop();
  } else if (event.altKey && event.code === "KeyN") {
    event.preventDefault();
    startNew();
  }
});
onRoute(() => void follow());
watchHealth(api);
void sidebar.load();
void follow();
composer.focus();
