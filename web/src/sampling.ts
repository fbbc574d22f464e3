// How the model draws its words, where the service lets its users choose; kept in this browser.
import { openDialog } from "./dialogs";
import { at } from "./dom";
import { kept } from "./storage";
import { t } from "./words";

const SAMPLING = "agentkit-sampling";
const FIELDS = ["temperature", "top_p", "max_tokens"] as const;

type Values = Partial<Record<(typeof FIELDS)[number], number>>;

export class Sampling {
  private isAllowed = false;
  private readonly opener = at("sampling");

  constructor() {
    this.opener.addEventListener("click", () => this.open());
    at("sampling-form").addEventListener("submit", () => this.keep());
    at("sampling-reset").addEventListener("click", () => {
      for (const name of FIELDS) fieldOf(name).value = "";
      fieldOf(FIELDS[0]).focus();
    });
  }

  allow(isAllowed: boolean): void {
    this.isAllowed = isAllowed;
    this.opener.hidden = !isAllowed;
    this.draw();
  }

  /** The options of a message. */
  options(): Values {
    return this.isAllowed ? stored() : {};
  }

  private open(): void {
    const values = stored();
    for (const name of FIELDS) fieldOf(name).value = String(values[name] ?? "");
    openDialog("sampling-dialog");
  }

  private keep(): void {
    const values: Values = {};
    for (const name of FIELDS) {
      const { value, valueAsNumber } = fieldOf(name);
      if (value && Number.isFinite(valueAsNumber)) values[name] = valueAsNumber;
    }
    if (Object.keys(values).length) kept.set(SAMPLING, JSON.stringify(values));
    else kept.remove(SAMPLING);
    this.draw();
  }

  /** Whether something is chosen shows at the button. */
  private draw(): void {
    const isChanged = Object.keys(this.options()).length > 0;
    const label = isChanged ? `${t.sampling} (${t.changed})` : t.sampling;
    this.opener.toggleAttribute("data-changed", isChanged);
    this.opener.setAttribute("aria-label", label);
    this.opener.title = label;
  }
}

function fieldOf(name: string): HTMLInputElement {
  return at<HTMLInputElement>(`sampling-${name}`);
}

/** What was kept, without what is no number. */
function stored(): Values {
  try {
    const found = JSON.parse(kept.get(SAMPLING) ?? "{}") as Record<string, unknown>;
    const numbers = FIELDS.filter((name) => typeof found[name] === "number");
    return Object.fromEntries(numbers.map((name) => [name, found[name]])) as Values;
  } catch {
    return {};
  }
}
