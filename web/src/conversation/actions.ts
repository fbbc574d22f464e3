// What can be done with a turn: buttons below it.
import { copiedFor } from "../clipboard";
import { button, element, iconButton } from "../dom";
import { t } from "../words";

/** The versions of a turn: the conversations that part at it, in the order in which they were made. */
export interface Versions {
  sessions: string[];
  /** The place of the one that is shown. */
  shown: number;
  open: (session: string) => void;
}

export interface Actions {
  copy?: () => string;
  edit?: () => void;
  regenerate?: () => void;
  goOn?: () => void;
  versions?: Versions;
}

/** The row of buttons of a turn. They have words: not every system has signs for them. */
export function actionsView(actions: Actions): HTMLElement {
  const row = element("div", "actions");
  if (actions.versions) row.append(versionsView(actions.versions));
  if (actions.copy) row.append(copyButton(actions.copy));
  if (actions.edit) row.append(named(t.edit, t.editLong, actions.edit));
  if (actions.regenerate) row.append(named(t.regenerate, t.regenerateLong, actions.regenerate));
  if (actions.goOn) row.append(button(t.goOn, "", actions.goOn));
  return row;
}

function named(words: string, label: string, act: () => void): HTMLButtonElement {
  const made = button(words, "", act);
  made.title = label;
  return made;
}

function copyButton(text: () => string): HTMLElement {
  const made: HTMLButtonElement = button(t.copy, "", () => void copiedFor(made, text()));
  return made;
}

function versionsView({ sessions, shown, open }: Versions): HTMLElement {
  const to = (place: number, sign: string, label: string): HTMLButtonElement => {
    const made = iconButton(sign, label, () => open(sessions[place]!));
    made.disabled = sessions[place] === undefined;
    return made;
  };
  const place = element("span", "", t.version(shown + 1, sessions.length));
  return element("span", "versions", to(shown - 1, "‹", t.earlierVersion), place, to(shown + 1, "›", t.laterVersion));
}
