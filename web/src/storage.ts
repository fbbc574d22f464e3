// What the browser keeps for the page. It may keep nothing (blocked, full, a private window): then it is kept until the
// page is closed.

class Kept {
  private readonly memory = new Map<string, string>();

  constructor(private readonly store: () => Storage) {}

  get(name: string): string | null {
    try {
      return this.memory.get(name) ?? this.store().getItem(name);
    } catch {
      return this.memory.get(name) ?? null;
    }
  }

  set(name: string, value: string): void {
    this.memory.set(name, value);
    try {
      this.store().setItem(name, value);
      this.memory.delete(name);
    } catch {
      // it is in memory
    }
  }

  remove(name: string): void {
    this.memory.delete(name);
    try {
      this.store().removeItem(name);
    } catch {
      // there is nothing to remove
    }
  }
}

/** Kept when the browser is closed. */
export const kept = new Kept(() => localStorage);

/** Kept until this tab is closed. */
export const keptInTab = new Kept(() => sessionStorage);
