// The keys of the page, and the list of them.
import { openDialog } from "./dialogs";
import { at, element } from "./dom";
import { t } from "./words";

/** What the keys do. */
export interface Keys {
  startNew(): void;
  search(): void;
  /** Close what lies over the conversation, or stop the answer. */
  escape(): void;
  /** Take a deletion back; returns whether there was one. */
  undo(): boolean;
}

export const IS_MAC = /mac|iphone|ipad/i.test(navigator.platform);
const CONTROL = IS_MAC ? "⌘" : t.controlKey;
const ALT = IS_MAC ? "⌥" : "Alt";

export function listenToKeys(keys: Keys): void {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]")) return;
    if (pressed(event, keys)) event.preventDefault();
  });
  at("help").addEventListener("click", showHelp);
}

/** Returns whether the key did something. Ctrl with Alt is how some keyboards write their letters: it does nothing. */
function pressed(event: KeyboardEvent, keys: Keys): boolean {
  const isControl = (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey;
  const isAlt = event.altKey && !event.ctrlKey && !event.metaKey;
  const key = event.key.toLowerCase();
  if (key === "escape") keys.escape();
  else if (isAlt && event.code === "KeyN") keys.startNew();
  else if (isControl && key === "k") keys.search();
  else if (isControl && key === "z" && !isField(event.target)) return keys.undo();
  else if (key === "?" && !isControl && !isAlt && !isField(event.target)) showHelp();
  else return false;
  return true;
}

function isField(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || target.matches("input, textarea, select"));
}

function showHelp(): void {
  const rows: [string[], string][] = [
    [["Enter"], t.keySend],
    [[t.shiftKey, "Enter"], t.keyLine],
    [["↑"], t.keyRecall],
    [["Esc"], t.keyEscape],
    [[ALT, "N"], t.newConversation],
    [[CONTROL, "K"], t.search],
    [["↑", "↓"], t.keyRows],
    [["F2"], t.keyRename],
    [[IS_MAC ? "⌫" : t.deleteKey], t.keyDelete],
    [[CONTROL, "Z"], t.keyUndo],
    [["?"], t.keyboardHelp],
  ];
  const list = rows.flatMap(([names, does]) => {
    const between = names[0] === "↑" ? " " : " + ";
    const shown = names.flatMap((name, place) => [...(place ? [between] : []), element("kbd", "", name)]);
    return [element("dt", "", ...shown), element("dd", "", does)];
  });
  at("keys").replaceChildren(...list);
  openDialog("help-dialog");
}
