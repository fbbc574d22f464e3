// The conversations as they are shown: groups, or what was found. Rows stay the same elements when the list changes.
import type { SessionOut } from "../api";
import { arrange, element } from "../dom";
import { grouped } from "./groups";
import { markedText, placesOf } from "./marked";
import { Row, type RowActions } from "./row";
import type { Found } from "./search";

/** What is known of a conversation beside what the service tells. */
export interface Known {
  current: string;
  isRunning(session: SessionOut): boolean;
}

export class List {
  private readonly rows = new Map<string, Row>();

  constructor(
    private readonly root: HTMLElement,
    private readonly actions: RowActions,
    private readonly toSearch: () => void,
  ) {
    root.addEventListener("keydown", (event) => this.keyPressed(event));
  }

  /** Show conversations in groups: all that there are. */
  showGroups(sessions: readonly SessionOut[], known: Known): void {
    const there = new Set(sessions.map((each) => each.session_id));
    for (const id of this.rows.keys()) if (!there.has(id)) this.rows.delete(id);
    const groups = grouped(sessions).map((group) => ({ key: group.key, name: group.name, rows: group.sessions }));
    this.show(groups, known);
    for (const row of this.rows.values()) row.unmark();
  }

  /** Show what was found. */
  showFound(found: readonly Found[], words: readonly string[], known: Known): void {
    this.show([{ key: "found", name: "", rows: found }], known);
    for (const { session_id, name, snippet = "", matches = [] } of found) {
      this.rows.get(session_id)?.mark(markedText(name || session_id, placesOf(words, name)), markedText(snippet, matches));
    }
  }

  /** Move the focus to the first conversation. */
  focusFirst(): void {
    this.root.querySelector<HTMLElement>(".open")?.focus();
  }

  focus(id: string): void {
    this.rows.get(id)?.link.focus();
  }

  /** The conversation that follows one in the list, or is before the last one. */
  neighbour(id: string): string | undefined {
    const shown = [...this.root.querySelectorAll("li")].map((each) => each.dataset["session"]);
    const place = shown.indexOf(id);
    return shown[place + 1] ?? shown[place - 1];
  }

  /** The arrow keys go from conversation to conversation, so that Tab need not go through all of them. */
  private keyPressed(event: KeyboardEvent): void {
    if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const links = [...this.root.querySelectorAll<HTMLElement>(".open")];
    const place = links.indexOf(event.target as HTMLElement);
    const next = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: links.length - 1 }[event.key];
    if (place < 0 || next === undefined) return;
    event.preventDefault();
    if (next < 0) this.toSearch();
    else links[next]?.focus();
  }

  private show(groups: { key: string; name: string; rows: readonly SessionOut[] }[], known: Known): void {
    const focused = document.activeElement;
    const hadFocus = this.root.contains(focused);
    const sections = groups.map(({ key, name, rows }) => {
      const section = this.section(key, name);
      arrange(section.querySelector("ul")!, rows.map((session) => this.row(session, known).root));
      return section;
    });
    arrange(this.root, sections);
    if (hadFocus && document.activeElement !== focused && this.root.contains(focused)) (focused as HTMLElement).focus();
  }

  private section(key: string, name: string): HTMLElement {
    const there = [...this.root.children].find((each) => (each as HTMLElement).dataset["group"] === key);
    const section = (there as HTMLElement | undefined) ?? element("section", "", element("h2"), element("ul"));
    const heading = section.querySelector("h2")!;
    section.dataset["group"] = key;
    heading.textContent = name;
    heading.hidden = !name;
    return section;
  }

  private row(session: SessionOut, known: Known): Row {
    const { session_id } = session;
    let row = this.rows.get(session_id);
    if (!row) {
      row = new Row(session, this.actions);
      row.root.dataset["session"] = session_id;
      this.rows.set(session_id, row);
    }
    row.update(session, session_id === known.current, known.isRunning(session));
    return row;
  }
}
