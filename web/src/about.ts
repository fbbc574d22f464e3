// What the service is and may do: shown where a conversation has no message yet, with what one may begin with. Nothing of
// it is needed: an older service, or one that wants a key first, tells nothing.
import { type About, type LLMAPI, LLMError } from "./api";
import type { Taken } from "./composer/attached";
import { at, button, element } from "./dom";
import { Sampling } from "./sampling";
import { t } from "./words";
import "./about.css";

/** Bytes of a message, where an older service does not tell. */
const USUAL_MESSAGE = 10_000_000;

/** What the rest of the page does with it. */
export interface Around {
  /** Put an example into the box. */
  write(text: string): void;
  /** What is known of the service has changed. */
  changed(): void;
}

export class AboutView {
  private about: About | undefined;
  private readonly root = at("welcome");
  private readonly sampling = new Sampling();
  private prompt: HTMLSelectElement | undefined;

  constructor(
    private readonly api: LLMAPI,
    private readonly around: Around,
  ) {
    this.draw();
  }

  get title(): string {
    return this.about?.title ?? "";
  }

  get canShare(): boolean {
    return this.about?.sharing ?? false;
  }

  /** Those of the tools that may have an effect: all but those that are known to have none. */
  effectsOf(tools: string[]): string[] {
    const readOnly = new Set(this.about?.tools.filter((tool) => tool.read_only).map((tool) => tool.name));
    return tools.filter((name) => !readOnly.has(name));
  }

  /** What may go with a message; where nothing is known, images. */
  get taken(): Taken {
    const { images = true, attachments = [], max_attachment_bytes: maxBytes = 0 } = this.about ?? {};
    return { images, suffixes: attachments, maxBytes, maxMessage: this.about?.max_message_bytes ?? USUAL_MESSAGE };
  }

  /** Ask the service; to be called again with another key. */
  async load(): Promise<void> {
    try {
      this.about = (await this.api.about()).data;
    } catch (error) {
      if (!(error instanceof LLMError)) throw error;
      this.about = undefined;
    }
    this.sampling.allow(this.about?.sampling ?? false);
    this.draw();
    this.around.changed();
  }

  /** A conversation is opened: what was chosen for the one before does not hold. */
  begin(): void {
    this.root.hidden = true;
    if (this.prompt) this.prompt.value = "";
  }

  /** The conversation that was opened has no message yet. */
  show(): void {
    this.root.hidden = false;
  }

  /** The options of a message. */
  options(): Record<string, unknown> {
    const prompt = this.prompt?.value;
    return { ...this.sampling.options(), ...(prompt ? { prompt } : {}) };
  }

  private draw(): void {
    const chosen = this.prompt?.value;
    const { title = "", model = "", tools = [], prompts = [], examples = [] } = this.about ?? {};
    const heading = element("h2", "", title || t.welcome);
    heading.dir = "auto";
    const parts: HTMLElement[] = [heading];
    if (model) parts.push(element("p", "model", t.modelIs(model)));
    this.prompt = prompts.length ? promptsView(prompts.map(({ name }) => name)) : undefined;
    if (this.prompt) {
      if (chosen) this.prompt.value = chosen;
      parts.push(element("label", "prompts", t.prompt, this.prompt));
    }
    if (examples.length) parts.push(this.examplesView(examples));
    if (tools.length) parts.push(toolsView(tools));
    this.root.replaceChildren(...parts);
  }

  private examplesView(examples: string[]): HTMLElement {
    const items = examples.map((each) => {
      const made = button(each, "", () => this.around.write(each));
      made.dir = "auto";
      return element("li", "", made);
    });
    const list = element("ul", "examples", ...items);
    list.setAttribute("aria-label", t.examples);
    return list;
  }
}

/** The named prompts, of which a new conversation may have one. */
function promptsView(names: string[]): HTMLSelectElement {
  const choices = [...new Set(names)].map((name) => new Option(name, name));
  return element("select", "", new Option(t.noPrompt, "", true), ...choices);
}

function toolsView(tools: About["tools"]): HTMLElement {
  const list = element("dl");
  for (const { name, description, read_only } of tools) {
    const term = element("dt", "", element("code", "", name));
    if (read_only) term.append(" ", element("span", "note", t.onlyReads));
    const told = element("dd", "", description);
    told.dir = "auto";
    list.append(term, told);
  }
  return element("details", "fold tools", element("summary", "", t.toolsHere(tools.length)), list);
}
