// An answer's text as it is shown. While it arrives, the blocks that are complete (paragraphs, lists, code) stay as they
// are, and only what comes behind them is drawn anew: the whole takes linear time, and what is selected stays.
import type { Citation } from "../api";
import { Citing } from "../citations";
import { element } from "../dom";
import { dress, listen } from "./dress";
import "./markdown.css";
import { definedIn, type Env, htmlOf, lastBeginning, newEnv, type Part, partsOf } from "./parser";
import { patch } from "./patch";
import { PLACES } from "./places";
import { sanitised } from "./sanitise";

/** Drawing the end of a text again and again, while it is long, takes at most this part of the time. */
const SHARE = 0.2;
const CHEAP_MILLISECONDS = 4;

interface Block extends Part {
  element: Element;
  /** Whether it has marks of citations. */
  isCited: boolean;
}

export interface Drawn {
  /** What the sources say of the text: its sentences are marked. */
  citations?: Citation[];
  /** Whether no more of the text comes. */
  isWhole?: boolean;
}

export class MarkdownView {
  readonly root = element("div", "markdown");
  private text = "";
  private citations: Citation[] = [];
  private isWhole = false;
  /** The blocks that are complete, and how much of the text they are. */
  private blocks: Block[] = [];
  private done = "";
  private env = newEnv();
  /** How much was defined when the blocks were last drawn. */
  private defined = 0;
  private tail: Block[] = [];
  private cost = 0;
  private drawnAt = 0;
  private due: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    listen(this.root);
  }

  /** Show a text, which is usually the last one and what has come since. */
  update(text: string, { citations = [], isWhole = false }: Drawn = {}): void {
    if (text === this.text && isWhole === this.isWhole && citations === this.citations) return;
    [this.text, this.isWhole] = [text, isWhole];
    const hasMarks = citations.length > 0 || this.citations.length > 0;
    this.citations = citations;
    clearTimeout(this.due);
    const wait = this.drawnAt + this.cost / SHARE - performance.now();
    if (!isWhole && !hasMarks && this.cost > CHEAP_MILLISECONDS && wait > 0) {
      this.due = setTimeout(() => this.draw(), wait);
    } else if (hasMarks) this.drawCited();
    else this.draw();
  }

  private draw(): void {
    const started = performance.now();
    if (!this.text.startsWith(this.done)) this.forget();
    const rest = normal(this.text.slice(this.done.length), !this.isWhole).replace(PLACES, "\ufffd");
    // of a line that still arrives nobody knows what it begins
    const last = this.isWhole ? rest.length : lastBeginning(rest.slice(0, rest.lastIndexOf("\n") + 1), newEnv(this.env));
    const complete = rest.slice(0, last);
    if (complete.trim()) {
      this.add(drawn(partsOf(complete, this.env), true));
      this.done = this.text.slice(0, this.done.length + lengthIn(this.text, this.done.length, complete));
    }
    this.drawTail(rest.slice(last));
    this.drawDefined();
    this.drawnAt = performance.now();
    this.cost = this.drawnAt - started;
  }

  /** What comes last may still change: it is made like it is now. */
  private drawTail(text: string): void {
    const tail = text.trim() ? drawn(partsOf(text, newEnv(this.env)), false) : [];
    tail.forEach((block, index) => {
      const shown = this.tail[index];
      if (shown && shown.element.tagName === block.element.tagName) {
        patch(shown.element, block.element);
        block.element = shown.element;
      } else if (shown) shown.element.replaceWith(block.element);
      else this.root.append(block.element);
    });
    for (const shown of this.tail.slice(tail.length)) shown.element.remove();
    this.tail = tail;
  }

  /** Blocks that are complete take the place of what was shown of them. */
  private add(blocks: Block[]): void {
    blocks.forEach((block) => {
      const shown = this.tail.shift();
      if (!shown) this.root.append(block.element);
      else if (shown.element.tagName === block.element.tagName) {
        patch(shown.element, block.element);
        block.element = shown.element;
      } else shown.element.replaceWith(block.element);
      this.blocks.push(block);
    });
  }

  /** Addresses and footnotes may be defined behind what names them. They are looked for whenever there are twice as many,
   * and at the end: how often that is does not grow with the text. */
  private drawDefined(): void {
    const defined = definedIn(this.env);
    if (defined === this.defined || (defined < 2 * this.defined && !this.isWhole)) return;
    this.defined = defined;
    this.blocks = this.blocks.map((block) => (block.source.includes("[") ? again(block, this.env) : block));
  }

  /** The whole text with the marks of its citations; blocks that have none stay. */
  private drawCited(): void {
    const citing = new Citing(this.text, this.citations);
    const env = newEnv();
    const olds = [...this.blocks, ...this.tail];
    this.blocks = partsOf(normal(citing.marked, false), env).map((part, index) => {
      const old = olds[index];
      const isCited = citing.isCited(part.source);
      if (old && !old.isCited && !isCited && old.html === part.html) return { ...old, ...part };
      const block = drawn([part], true, isCited ? citing : undefined)[0]!;
      if (old) old.element.replaceWith(block.element);
      else this.root.append(block.element);
      return block;
    });
    for (const old of olds.slice(this.blocks.length)) old.element.remove();
    citing.complete();
    [this.env, this.tail, this.done, this.defined] = [env, [], this.text, definedIn(env)];
  }

  private forget(): void {
    this.root.replaceChildren();
    [this.blocks, this.tail, this.done, this.env, this.defined] = [[], [], "", newEnv(), 0];
  }
}

/** A text whose lines end as Markdown wants it. A \r at the end may be the half of an end. */
function normal(text: string, hasMore: boolean): string {
  const whole = hasMore && text.endsWith("\r") ? text.slice(0, -1) : text;
  return whole.replace(/\r\n?/g, "\n").replaceAll("\0", "\ufffd");
}

/** How long a part of a text is that is `normal` in it, from a position on. */
function lengthIn(text: string, from: number, part: string): number {
  if (!text.includes("\r\n", from)) return part.length;
  let at = from;
  for (const line of part.split("\n").slice(0, -1)) {
    at += line.length;
    at += text.startsWith("\r\n", at) ? 2 : 1;
  }
  return at - from;
}

function drawn(parts: Part[], isFinished: boolean, citing?: Citing): Block[] {
  if (!parts.length) return [];
  const wrappers = sanitised(parts.map((part) => part.html));
  return parts.map((part, index) => {
    const wrapper = wrappers[index]!;
    citing?.mark(wrapper, part.source);
    dress(wrapper, isFinished);
    const made = wrapper.childElementCount === 1 ? wrapper.firstElementChild! : wrapper;
    made.remove();
    return { ...part, element: made, isCited: Boolean(citing) };
  });
}

/** A block with what is defined now. */
function again(block: Block, env: Env): Block {
  const html = htmlOf(block.source, env);
  if (html === block.html || block.isCited) return block;
  const [made] = drawn([{ source: block.source, html }], true);
  block.element.replaceWith(made!.element);
  return made!;
}
