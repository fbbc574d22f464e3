// An answer as it arrives. The run belongs to the service: when the connection breaks, the page joins it again.
import { type Frame, type History, type JoinedQuestion, type LLMAPI, LLMError } from "./api";

/** What is told of an answer. */
export interface Watcher {
  /** The service has the message. */
  begun(): void;
  take(frame: Frame): void;
  /** What was shown of the answer comes again, from its beginning. question: what is answered, null for a decision. */
  restart(question: JoinedQuestion | null): void;
  /** The connection broke, and is made again. */
  joining(): void;
}

/** How it ended: it is whole; nobody reads it any more; or it is over at the service, which shows in the history. */
export type Ending = "whole" | "left" | "over";

/** Milliseconds before each try to ask again after a break. */
const PAUSES = [500, 1000, 2000, 4000];
const LONGEST_END = 5000; // milliseconds from a stop to the end of the stream
const [FIRST_POLL, LONGEST_POLL] = [2000, 8000]; // milliseconds between looks at an answer that another worker makes

export class LiveAnswer {
  private readonly control = new AbortController();
  private wake: () => void = () => undefined;
  private isSending = false;
  private isLeft = false;
  private isStopped = false;

  constructor(
    private readonly api: LLMAPI,
    readonly session: string,
    private readonly watcher: Watcher,
    /** The id of the message that is sent; "" for none. */
    private readonly requestId = "",
  ) {}

  /** Send a message, or a decision. Raises LLMError: before the first frame it was not sent. */
  async send(ask: (signal: AbortSignal) => AsyncIterable<Frame>): Promise<Ending> {
    this.isSending = true;
    try {
      for await (const frame of ask(this.control.signal)) {
        if (this.isSending) this.begin();
        if (this.isLeft) return "left";
        this.watcher.take(frame);
      }
      return "whole";
    } catch (error) {
      if (this.control.signal.aborted) return "left";
      if (this.isSending || !isBreak(error)) throw error;
    }
    return this.join(true);
  }

  private begin(): void {
    this.isSending = false;
    this.watcher.begun();
    if (this.isStopped) this.stop().catch(() => undefined); // the service did not know of it yet
  }

  /** Show the answer that is in progress. isAgain: after the connection broke. Raises LLMError. */
  async join(isAgain = false): Promise<Ending> {
    let pauses = isAgain ? [...PAUSES] : [];
    for (;;) {
      if (isAgain) {
        this.watcher.joining();
        await this.pause(pauses.shift() ?? 0);
      }
      if (this.control.signal.aborted) return "left";
      try {
        for await (const frame of this.api.joinStream(this.session, { signal: this.control.signal })) {
          if ("question" in frame) {
            this.watcher.restart(frame.question);
            pauses = [...PAUSES];
          } else this.watcher.take(frame);
        }
        return "whole";
      } catch (error) {
        if (this.control.signal.aborted) return "left";
        if (error instanceof LLMError && error.status === 404) return "over";
        pauses = pausesAfter(error, pauses);
        isAgain = true;
      }
    }
  }

  /** Wait until no answer is in progress any more, also in another worker. Returns the history then; undefined: nobody
   * reads any more. working: called when there is one. Raises LLMError. */
  async ended(working: () => void): Promise<History | undefined> {
    let poll = FIRST_POLL;
    let pauses = [...PAUSES];
    while (!this.isLeft) {
      try {
        const { data } = await this.api.getSessionHistory(this.session);
        if (!data.running) return this.isLeft ? undefined : data;
        working();
        await this.pause(poll);
        poll = Math.min(2 * poll, LONGEST_POLL);
        pauses = [...PAUSES];
      } catch (error) {
        pauses = pausesAfter(error, pauses);
        await this.pause(pauses.shift()!);
      }
    }
    return undefined;
  }

  /** Stop it, at the service: the stream ends then. What has come stays. Raises LLMError. */
  async stop(): Promise<void> {
    this.isStopped = true;
    await this.api.stopSession(this.session, this.requestId || undefined);
    setTimeout(() => this.leave(), LONGEST_END);
  }

  /** Read no more of it; it goes on. A message that is on its way is sent. */
  leave(): void {
    this.isLeft = true;
    if (!this.isSending) this.control.abort();
    this.wake();
  }

  private async pause(milliseconds: number): Promise<void> {
    await pause(milliseconds, (wake) => (this.wake = wake));
  }
}

/** Wait; not longer than until the network is there again, or the page is looked at. begun: given what ends it. */
export function pause(milliseconds: number, begun: (wake: () => void) => void = () => undefined): Promise<void> {
  return new Promise((resolve) => {
    const listening = new AbortController();
    const wake = (): void => {
      clearTimeout(timer);
      listening.abort();
      resolve();
    };
    const timer = setTimeout(wake, milliseconds);
    const { signal } = listening;
    addEventListener("online", wake, { signal });
    document.addEventListener("visibilitychange", () => document.hidden || wake(), { signal });
    begun(wake);
  });
}

/** Whether the connection broke, in contrast to a refusal. */
export function isBreak(error: unknown): boolean {
  return !(error instanceof LLMError) || error.status === 0 || error.status === 502 || error.status === 504;
}

/** Whether the service refuses for now, because there is too much to do. */
export function isRefusalForNow(error: unknown): error is LLMError {
  return error instanceof LLMError && (error.status === 429 || error.status === 503);
}

/** The pauses before further tries. Raises the error where none has sense any more. */
function pausesAfter(error: unknown, pauses: number[]): number[] {
  const isForNow = isRefusalForNow(error);
  if (isForNow && error.retryAfter) return [1000 * error.retryAfter, ...pauses];
  if ((!isForNow && !isBreak(error)) || !pauses.length) throw error;
  return pauses;
}
