// The chat page: conversations at the side, the one that is shown, and a place to write.
import { AboutView } from "./about";
import { LLMAPI } from "./api";
import { Composer } from "./composer/composer";
import { Conversation, sharedViews } from "./conversation/conversation";
import { preparesDialogs } from "./dialogs";
import { at } from "./dom";
import { listenToKeys } from "./keyboard";
import { copyFormulasAsLatex } from "./markdown/copied_formulas";
import { currentRoute, newId, onRoute, showInAddress } from "./routing";
import { askForKeys, key, showError, showProblem, watchHealth } from "./service";
import { Sidebar } from "./sidebar/sidebar";
import { onTold, tellTabs } from "./tabs";
import { switchTheme } from "./theme";
import { language, t, translate } from "./words";
import "./page.css";
import "./print.css";

document.documentElement.lang = language;
translate(document);

// The page may lie under a path of a reverse proxy.
const baseUrl = new URL(".", location.href).pathname;

/** A client. The service leads nowhere else: a redirection is that of a proxy which wants a login. */
function client(options: RequestInit = {}): LLMAPI {
  return new LLMAPI({ baseUrl, token: key, fetch: (url, request) => fetch(url, { ...request, redirect: "manual", ...options }) });
}

const api = client();
/** Its requests are sent even if the page is left. */
const leaving = client({ keepalive: true });

const first = currentRoute();
const isShared = Boolean(first && "shared" in first);
document.body.classList.toggle("shared", isShared);

const conversation = new Conversation(api, at("log"), {
  changed: () => void sidebar.load(),
  showError,
  clearError: () => showProblem(""),
  setRunning: (isRunning) => {
    const hadFocus = document.activeElement === at(isRunning ? "send" : "stop");
    at("send").hidden = isRunning;
    at("stop").hidden = !isRunning;
    if (hadFocus) composer.takeFocus();
    if (!isShared) sidebar.setRunning(isRunning);
  },
  sent: (session, id) => {
    composer.noteSent(session, id);
    sidebar.keep(session);
    tellTabs(session);
    if (!isShared) void sidebar.load(true); // it is in the list from now on, also if another conversation is opened
  },
  read: (isIn) => composer.noteHistory(isIn),
  putBack: (session, message, isWanted) => composer.putBack(session, message, isWanted),
  open,
  edit: (begins, message, send) => composer.edit(begins, message, send),
  editedIn: (session) => composer.editedIn(session),
  endEdit: (session, begins) => composer.endEdit(session, begins),
  startWriting: () => composer.focus(),
  focus: () => composer.takeFocus(),
  effectsOf: (tools) => about.effectsOf(tools),
  options: () => about.options(),
});
const composer = new Composer(
  api,
  (message) => void conversation.send(message),
  () => !conversation.isRunning,
  () => conversation.length,
  showProblem,
);
const about: AboutView = new AboutView(api, {
  write: (text) => {
    composer.write(text);
    composer.focus();
  },
  changed: () => {
    sidebar.draw();
    composer.attached.allow(about.taken);
  },
});
const sidebar = new Sidebar(api, leaving, {
  current: () => conversation.id,
  listed: (session) => conversation.noteListed(session),
  open: (session) => void open(session),
  startNew: () => void open(newId(), true),
  missing: () => void leaveGone(),
  gone: tellTabs,
  showError,
  title: () => about.title,
  canShare: () => about.canShare,
});

/** Show a conversation, and put it into the address. */
async function open(id: string, isNew = false): Promise<void> {
  showInAddress(id);
  await show(id, isNew);
}

async function show(id: string, isNew = false): Promise<void> {
  sidebar.hide();
  sidebar.keep(id);
  about.begin();
  composer.open(id);
  const opened = conversation.open(id, isNew);
  sidebar.draw();
  sidebar.tellListed();
  await opened;
  if (conversation.id === id && conversation.isEmpty) about.show();
}

/** Where the conversation that is shown was deleted elsewhere, begin a new one: a message in it would be answered as its first. */
async function leaveGone(): Promise<void> {
  if (!(await conversation.isGone())) return;
  const id = newId();
  composer.move(id);
  await open(id, true);
  showProblem(t.goneElsewhere);
}

function startNew(): void {
  if (conversation.isNew && conversation.isEmpty) sidebar.hide();
  else void open(newId(), true);
  composer.focus();
}

/** A conversation that somebody shares, to be read. */
async function showShared(token: string): Promise<void> {
  conversation.close();
  try {
    const { data } = await api.getShared(token);
    at("log").replaceChildren(...sharedViews(data.messages));
    at("title").textContent = document.title = data.name || t.conversation;
  } catch (error) {
    showError(error);
  }
}

/** Show what the address names. Whoever goes from or to a shared conversation gets another page. */
async function follow(): Promise<void> {
  const route = currentRoute();
  if (isShared !== Boolean(route && "shared" in route)) location.reload();
  else if (route && "shared" in route) await showShared(route.shared);
  else if (route && route.conversation !== conversation.id) await show(route.conversation);
  else if (!route) {
    const id = newId();
    showInAddress(id, true); // a new conversation has its address at once
    await show(id, true);
  }
}

askForKeys(() => {
  showProblem("");
  void about.load();
  void sidebar.load().then((isThere) => isThere && void conversation.open(conversation.id));
});
at("stop").addEventListener("click", () => conversation.stop());
// The address names a conversation: "#message" of the link would be one.
document.querySelector(".skip")!.addEventListener("click", (event) => {
  event.preventDefault();
  at(isShared ? "log" : "message").focus();
});
at("new").addEventListener("click", startNew);
at("theme").addEventListener("click", switchTheme);
listenToKeys({
  startNew,
  search: () => sidebar.focusSearch(),
  escape: () => (sidebar.isOpen ? sidebar.hide() : conversation.stop()),
  undo: () => sidebar.undo(),
});
preparesDialogs();
copyFormulasAsLatex();
onRoute(() => void follow());
if (!isShared) {
  onTold((session) => {
    sidebar.keep(session);
    if (document.hidden) return;
    void sidebar.load(true);
    if (session === conversation.id) void conversation.catchUp();
  });
  watchHealth(api);
  void sidebar.load();
  void about.load();
  composer.focus();
}
void follow();
