// The conversation on the page: what was said, and the tool calls in between.
import type { Approval, Citation, Decision, Frame, History, ToolCallOut, Turn, Usage } from "./api";
import { ApprovalView } from "./approval";
import { summaryOf } from "./citations";
import { element } from "./dom";
import { MarkdownView } from "./markdown/view";
import { pretty, visible } from "./texts";

/** Told the decisions on the calls of an answer that wait for a person. */
export type Decide = (view: AnswerView, asked: string, approve: Record<string, Decision>) => void;

/** One answer as it arrives: chunks of text, and the tool calls between them. */
export class AnswerView {
  readonly root = element("article", "turn assistant");
  private readonly tools = new Map<string, HTMLDetailsElement>();
  private text: MarkdownView | undefined;
  private said = "";
  private thoughts: HTMLElement | undefined;
  private isDue = false;
  private citations: Citation[] = [];
  private waiting: ApprovalView | undefined;

  constructor(
    private readonly grown: () => void,
    private readonly decide?: Decide,
  ) {
    this.root.setAttribute("aria-label", "Answer");
    this.root.setAttribute("aria-busy", "true");
  }

  take(frame: Frame): void {
    if ("content" in frame) this.say(frame.content);
    else if ("reasoning" in frame) this.think(frame.reasoning);
    else if ("tool" in frame) this.tool(frame.tool, frame.tool.state);
    else if ("discarded" in frame) this.discard();
    else if ("citations" in frame) this.cite(frame.citations);
    else if ("approval" in frame) this.wait(frame.approval);
    else if ("usage" in frame) this.finish(frame.usage, frame.stopped);
    else if ("error" in frame) this.fail(frame.error);
  }

  say(delta: string): void {
    if (!this.text) {
      this.said = "";
      this.citations = [];
      this.text = new MarkdownView(() => this.grown());
      this.text.root.classList.add("said");
      this.root.append(this.text.root);
    }
    this.said += delta;
    this.draw();
  }

  /** At most once per frame, however fast the chunks arrive. */
  private draw(): void {
    if (this.isDue) return;
    this.isDue = true;
    requestAnimationFrame(() => {
      this.isDue = false;
      this.render();
      this.grown();
    });
  }

  private render(isWhole = false): void {
    this.text?.update(this.said, { citations: this.citations, isWhole });
  }

  /** What the sources say of the last text. */
  cite(citations: Citation[]): void {
    this.citations = citations;
    this.root.append(summaryOf(citations));
    this.draw();
  }

  private think(delta: string): void {
    if (!this.thoughts) {
      this.thoughts = element("div", "thoughts");
      this.root.append(element("details", "fold", element("summary", "", "Thoughts"), this.thoughts));
    }
    this.thoughts.append(delta);
  }

  tool(tool: Partial<ToolCallOut> & { id: string; progress?: string }, state: string): void {
    let fold = this.tools.get(tool.id);
    if (!fold) {
      this.endText();
      const name = element("code", "", tool.name ?? "tool");
      fold = element("details", "fold tool", element("summary", "", name, " ", element("span", "state")));
      if (tool.arguments) fold.append(element("pre", "arguments", visible(pretty(tool.arguments))));
      this.tools.set(tool.id, fold);
      this.root.append(fold);
    }
    const text = tool.error ?? tool.response;
    fold.dataset["state"] = tool.error ? "failed" : state;
    const seconds = tool.seconds ? ` in ${tool.seconds.toFixed(1)} s` : "";
    const words = { started: "runs…", running: tool.progress ?? "runs…", finished: `done${seconds}` };
    const label = tool.error ? "failed" : (words[state as keyof typeof words] ?? state);
    fold.querySelector(".state")!.textContent = label;
    if (text !== undefined && text !== null) {
      fold.querySelector(".response")?.remove();
      fold.append(element("pre", "response", text));
    }
    if (state === "finished") this.tools.delete(tool.id); // ids may come again in later replies
    this.grown();
  }

  /** The run has stopped for calls, which are shown to be decided on. */
  wait(approval: Approval): void {
    this.endText();
    for (const { id } of approval.calls) {
      this.tools.get(id)?.remove(); // it has asked before it did anything
      this.tools.delete(id);
    }
    this.waiting = new ApprovalView(approval, (approve) => this.decide?.(this, approval.asked, approve));
    this.root.append(this.waiting.root);
    this.grown();
  }

  /** What waits can't be decided any more. */
  closeWaiting(why: string): void {
    this.waiting?.close(why);
    this.waiting = undefined;
  }

  /** The answer goes on after a decision. */
  goOn(): void {
    this.waiting = undefined;
    this.root.setAttribute("aria-busy", "true");
  }

  private endText(): void {
    this.render(true);
    this.text = undefined;
    this.thoughts = undefined;
  }

  private discard(): void {
    this.text?.root.remove();
    this.text = undefined;
    this.said = "";
  }

  private finish(usage: Usage, stopped: string): void {
    const parts = [`${usage.input_tokens + usage.output_tokens} tokens`, `${usage.seconds.toFixed(1)} s`];
    if (usage.tool_calls) parts.unshift(`${usage.tool_calls} tool call${usage.tool_calls > 1 ? "s" : ""}`);
    if (usage.cost) parts.push(`$${usage.cost.toFixed(4)}`);
    if (stopped === "approval") return this.end();
    if (stopped !== "answer") parts.push(`ended by: ${stopped}`);
    this.root.append(element("footer", "usage", parts.join(" · ")));
    this.end();
  }

  fail(problem: string): void {
    const text = element("p", "failed", problem);
    text.setAttribute("role", "alert");
    this.root.append(text);
    this.end();
  }

  end(): void {
    this.endText();
    this.root.removeAttribute("aria-busy");
    this.grown();
  }
}

/** What a user said. */
export function questionView(text: string, images: string[]): HTMLElement {
  const made = element("article", "turn user", element("div", "said", text));
  made.setAttribute("aria-label", "You");
  made.append(...images.map((url) => imageView(url, "Image you sent")));
  return made;
}

function imageView(url: string, alt: string): HTMLImageElement {
  const image = element("img");
  image.src = url;
  image.alt = alt;
  return image;
}

/** A session of an earlier day. */
export function historyViews(history: History, grown: () => void, decide: Decide): [HTMLElement[], AnswerView?] {
  const approval = { asked: history.asked ?? "", calls: history.pending ?? [] };
  const last = history.messages.at(-1);
  if (!approval.calls.length || last?.role !== "assistant") return [history.messages.map((turn) => turnView(turn))];
  const view = new AnswerView(grown, decide);
  const waiting = new Set(approval.calls.map((call) => call.id));
  drawTurn(view, { ...last, tool_calls: last.tool_calls.filter((call) => call.response != null || !waiting.has(call.id)) });
  view.wait(approval);
  return [[...history.messages.slice(0, -1).map((turn) => turnView(turn)), view.root], view];
}

/** A turn of an earlier day. */
function turnView(turn: Turn): HTMLElement {
  if (turn.role === "user") return questionView(turn.content, turn.images);
  const view = new AnswerView(() => undefined);
  drawTurn(view, turn);
  return view.root;
}

function drawTurn(view: AnswerView, turn: Turn): void {
  for (const tool of turn.tool_calls) view.tool(tool, "finished");
  view.root.append(...turn.images.map((url) => imageView(url, "Image of a tool")));
  if (turn.content) view.say(turn.content);
  if (turn.citations?.length) view.cite(turn.citations);
  view.end();
}
