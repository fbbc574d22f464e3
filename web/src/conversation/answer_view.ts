// An answer: its text, and the tool calls in between.
import type { Approval, Citation, Decision, Frame, ToolCallOut, Turn, Usage } from "../api";
import { ApprovalView } from "../approval";
import { summaryOf } from "../citations";
import { button, element } from "../dom";
import { MarkdownView } from "../markdown/view";
import { pretty, visible } from "../texts";
import { tell } from "../told";
import { language, t } from "../words";
import { imageView } from "./question_view";

/** Told the decisions on the calls of an answer that wait for a person. */
export type Decide = (view: AnswerView, asked: string, approve: Record<string, Decision>) => void;

/** One answer as it arrives: chunks of text, and the tool calls between them. */
export class AnswerView {
  readonly root = element("article", "turn assistant");
  /** What it says, as Markdown. */
  written = "";
  private readonly body = element("div", "body");
  private readonly tools = new Map<string, HTMLDetailsElement>();
  private text: MarkdownView | undefined;
  private thoughts: HTMLElement | undefined;
  private isDue = false;
  private citations: Citation[] = [];
  private waiting: ApprovalView | undefined;
  private note: HTMLElement | undefined;
  /** How many parts are from before the run that goes on. */
  private before = 0;
  private isGoingOn = false;
  private wasStopped = false;

  constructor(private readonly decide?: Decide) {
    this.root.setAttribute("aria-label", t.answer);
    this.root.dataset["arriving"] = "";
    this.root.append(element("h2", "unseen", t.answer), this.body);
  }

  take(frame: Frame): void {
    this.note?.remove();
    if ("content" in frame) this.say(frame.content);
    else if ("reasoning" in frame) this.think(frame.reasoning);
    else if ("tool" in frame) this.tool(frame.tool, frame.tool.state);
    else if ("discarded" in frame) this.discard();
    else if ("citations" in frame) this.cite(frame.citations);
    else if ("approval" in frame) this.wait(frame.approval);
    else if ("usage" in frame) this.finish(frame.usage, frame.stopped);
    else if ("error" in frame) this.fail(frame.error);
  }

  /** The same answer comes again, from its beginning. wasCut: but for that. */
  restart(wasCut = false): void {
    this.note?.remove();
    while (this.body.childElementCount > this.before) this.body.lastElementChild!.remove();
    this.tools.clear();
    this.text = this.thoughts = this.waiting = undefined;
    this.written = "";
    this.citations = [];
    this.root.dataset["arriving"] = "";
    if (wasCut) this.body.append(element("p", "hint", t.beginningCut));
  }

  /** The connection broke, and is made again. */
  joining(): void {
    this.tell(t.joining);
  }

  /** Say what is going on, until more of the answer comes. */
  tell(words: string): void {
    this.note?.remove();
    this.note = element("p", "note", words);
    tell(words);
    this.root.append(this.note);
  }

  say(delta: string): void {
    if (!this.text) {
      this.written = "";
      this.citations = [];
      this.text = new MarkdownView();
      this.text.root.classList.add("said");
      this.body.append(this.text.root);
    }
    this.written += delta;
    this.draw();
  }

  /** At most once per frame, however fast the chunks arrive. */
  private draw(): void {
    if (this.isDue) return;
    this.isDue = true;
    requestAnimationFrame(() => {
      this.isDue = false;
      this.render();
    });
  }

  private render(isWhole = false): void {
    this.text?.update(this.written, { citations: this.citations, isWhole });
  }

  /** What the sources say of the last text. */
  cite(citations: Citation[]): void {
    this.citations = citations;
    this.body.append(summaryOf(citations));
    this.draw();
  }

  think(delta: string): void {
    if (!this.thoughts) {
      this.thoughts = element("div", "thoughts");
      this.thoughts.dir = "auto";
      this.body.append(element("details", "fold", element("summary", "", t.thoughts), this.thoughts));
    }
    this.thoughts.append(delta);
  }

  tool(tool: Partial<ToolCallOut> & { id: string; progress?: string }, state: string): void {
    let fold = this.tools.get(tool.id);
    if (!fold) {
      this.endText();
      const name = element("code", "", tool.name ?? t.tool);
      fold = element("details", "fold tool", element("summary", "", name, " ", element("span", "state")));
      if (tool.arguments) fold.append(element("pre", "arguments", visible(pretty(tool.arguments))));
      this.tools.set(tool.id, fold);
      this.body.append(fold);
    }
    const text = tool.error ?? tool.response;
    fold.dataset["state"] = tool.error ? "failed" : state;
    fold.querySelector(".state")!.textContent = tool.error ? t.failed : stateOf(tool, state);
    if (text !== undefined && text !== null) {
      fold.querySelector(".response")?.remove();
      fold.append(element("pre", "response", text));
    }
    if (state === "finished") this.tools.delete(tool.id); // ids may come again in later replies
  }

  /** The run has stopped for calls, which are shown to be decided on. */
  wait(approval: Approval): void {
    this.endText();
    for (const { id } of approval.calls) {
      this.tools.get(id)?.remove(); // it has asked before it did anything
      this.tools.delete(id);
    }
    this.waiting = new ApprovalView(approval, (approve) => this.decide?.(this, approval.asked, approve));
    this.body.append(this.waiting.root);
  }

  /** What waits can't be decided any more. */
  closeWaiting(why: string): void {
    this.waiting?.close(why);
    this.waiting = undefined;
  }

  /** The answer goes on after a decision, or is joined in that: again, when the connection broke meanwhile. */
  goOn(): void {
    if (this.isGoingOn) return;
    this.isGoingOn = true;
    this.endText();
    this.before = this.body.childElementCount;
    this.waiting = undefined;
    this.root.dataset["arriving"] = "";
  }

  private endText(): void {
    this.render(true);
    this.text = undefined;
    this.thoughts = undefined;
  }

  /** The request is repeated: what came of the reply comes again. */
  private discard(): void {
    this.text?.root.remove();
    this.thoughts?.parentElement!.remove();
    this.text = this.thoughts = undefined;
    this.written = "";
  }

  finish(usage: Usage | null | undefined, stopped: string): void {
    if (stopped === "approval") return this.end();
    const parts = usage ? partsOf(usage) : [];
    this.wasStopped = stopped === "cancelled";
    if (this.wasStopped) parts.push(t.stopped);
    else if (stopped && stopped !== "answer") parts.push(t.endedBy(stopped));
    if (parts.length) this.body.append(element("footer", "usage", parts.join(" · ")));
    this.end();
  }

  /** Whether it has broken off. */
  hasFailed = false;

  /** It broke off; what was said so far stays. */
  fail(problem: string): void {
    this.hasFailed = true;
    const text = element("p", "failed", problem);
    text.setAttribute("role", "alert");
    this.body.append(text);
    this.end();
  }

  /** Let the reader do something about a failure. */
  offer(words: string, act: () => void): void {
    const made = button(words, "offer", () => {
      made.remove();
      act();
    });
    this.body.append(made);
  }

  /** Whether there is something that the reader may do about it. */
  get hasOffer(): boolean {
    return this.body.querySelector(":scope > .offer") !== null;
  }

  end(): void {
    this.note?.remove();
    this.isGoingOn = false;
    this.endText();
    delete this.root.dataset["arriving"];
  }

  /** What is told of it to those who listen: what was said behind the last call, or what waits for a decision. */
  get heard(): string {
    if (this.waiting) return this.waiting.heard;
    const said = [...this.body.children].slice(this.before).filter((part) => part.matches(".said")).at(-1);
    const blocks = [...(said?.children ?? [])].map((block) => {
      const text = block.cloneNode(true) as Element;
      for (const each of text.querySelectorAll(".code-head")) each.remove();
      return text.textContent ?? "";
    });
    return [...blocks, this.wasStopped ? t.stopped : ""].filter(Boolean).join("\n");
  }

  /** Show an answer of the history. */
  fill(turn: Turn, hidden: ReadonlySet<string> = new Set()): void {
    if (turn.reasoning) this.think(turn.reasoning);
    for (const tool of turn.tool_calls) {
      if (tool.said?.trim()) this.say(tool.said);
      if (tool.response != null || tool.error != null || !hidden.has(tool.id)) this.tool(tool, "finished");
    }
    this.body.append(...turn.images.map((url) => imageView(url, t.imageOfTool)));
    if (turn.content) this.say(turn.content);
    if (turn.citations?.length) this.cite(turn.citations);
    this.finish(turn.usage, turn.stopped ?? "answer");
  }
}

function stateOf(tool: { seconds?: number | null; progress?: string }, state: string): string {
  if (state === "finished") return tool.seconds ? t.doneIn(decimal(tool.seconds)) : t.done;
  return state === "running" ? (tool.progress ?? t.runs) : t.runs;
}

function partsOf(usage: Usage): string[] {
  const parts = usage.tool_calls ? [t.toolCalls(usage.tool_calls)] : [];
  parts.push(t.tokens(usage.input_tokens + usage.output_tokens), t.seconds(decimal(usage.seconds)));
  if (usage.cost) parts.push(`$${usage.cost.toFixed(4)}`);
  return parts;
}

function decimal(value: number): string {
  return value.toLocaleString(language, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
}
