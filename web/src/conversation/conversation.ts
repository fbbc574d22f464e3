// The conversation that is shown: its turns, the answer that arrives, and what can be done with both.
import { type Attachment, type Decision, type Frame, type History, type JoinedQuestion, LLMError, type LLMAPI, type Turn } from "../api";
import { type Ending, LiveAnswer } from "../live";
import { newId } from "../routing";
import { wordsOf } from "../service";
import { t } from "../words";
import { type Actions, actionsView, type Versions } from "./actions";
import { AnswerView } from "./answer_view";
import { QuestionView } from "./question_view";
import { Scrolling } from "./scrolling";

/** A message that is written. id: its idempotency key. */
export interface Message {
  text: string;
  images: string[];
  attachments: Attachment[];
  id: string;
}

/** What the rest of the page does for the conversation. */
export interface Around {
  /** The session list is not current any more. */
  changed(): void;
  showError(error: unknown): void;
  clearError(): void;
  /** An answer arrives, or none does. */
  setRunning(isRunning: boolean): void;
  /** The service has the message that was sent in a conversation. */
  sent(session: string): void;
  /** A message was not answered: it goes back to where it was written. Returns false where something else is written
   * there; isWanted: it goes there all the same. */
  putBack(session: string, message: Message, isWanted?: boolean): boolean;
  /** Show another conversation. */
  open(session: string): Promise<void>;
  /** Write a message of this conversation anew. */
  edit(message: Message, send: (message: Message) => void): void;
  /** The options of each message: sampling and the named prompt. */
  options(): Record<string, unknown>;
}

const POLL_MILLISECONDS = 2000;
type TurnView = QuestionView | AnswerView;
const CAN_GO_ON = new Set(["cancelled", "seconds", "max_tokens", "length"]);

export class Conversation {
  id = newId();
  history: History | undefined;
  /** Whether nothing was said in it when it was opened. */
  isNew = false;
  private turns: TurnView[] = [];
  private live: LiveAnswer | undefined;
  /** Which reading of the history is the newest: what an older one tells comes too late. */
  private reading = 0;
  private isBranching = false;
  private readonly scrolling: Scrolling;

  constructor(
    private readonly api: LLMAPI,
    private readonly log: HTMLElement,
    private readonly around: Around,
  ) {
    this.scrolling = new Scrolling(log);
  }

  get isEmpty(): boolean {
    return !this.turns.length;
  }

  get isRunning(): boolean {
    return this.live !== undefined;
  }

  /** Show a conversation from its beginning. An answer that arrives in the one that was shown goes on without a
   * reader. isNew: there is nothing to be read of it yet. */
  async open(id: string, isNew = false): Promise<void> {
    this.leave();
    this.id = id;
    this.isNew = isNew;
    this.history = undefined;
    this.draw([]);
    this.around.clearError();
    if (!isNew) await this.load();
  }

  /** Read the history, and show it; an answer that is in progress is joined. */
  private async load(): Promise<void> {
    const { id } = this;
    const reading = ++this.reading;
    try {
      const { data } = await this.api.getSessionHistory(id);
      if (reading !== this.reading) return; // another was opened, or something was sent meanwhile
      this.show(data);
      if (data.running) await this.join();
    } catch (error) {
      if (reading !== this.reading) return;
      if (!(error instanceof LLMError && error.status === 404)) this.around.showError(error);
    }
  }

  private show(history: History): void {
    this.history = history;
    const waiting = history.pending ?? [];
    const hidden = new Set(waiting.map((call) => call.id));
    const isWaiting = waiting.length > 0 && history.messages.at(-1)?.role === "assistant";
    const last = history.messages.length - 1;
    this.draw(history.messages.map((turn, place) => this.turnView(turn, isWaiting && place === last ? hidden : undefined)));
    const view = this.turns.at(-1);
    if (isWaiting && view instanceof AnswerView) view.wait({ asked: history.asked ?? "", calls: waiting });
    this.addActions();
    requestAnimationFrame(() => this.scrolling.jump());
  }

  private turnView(turn: Turn, hidden?: ReadonlySet<string>): TurnView {
    if (turn.role === "user") return new QuestionView(turn);
    const view = new AnswerView(this.decide);
    view.fill(turn, hidden);
    return view;
  }

  private draw(turns: TurnView[]): void {
    this.turns = turns;
    this.log.replaceChildren(...turns.map((turn) => turn.root));
  }

  private add(...views: TurnView[]): void {
    this.turns.push(...views);
    this.log.append(...views.map((view) => view.root));
    this.scrolling.jump();
  }

  // ---- an answer that arrives

  /** Send a message. */
  async send(message: Message): Promise<void> {
    if (this.live) return;
    const last = this.turns.at(-1);
    if (last instanceof AnswerView) last.closeWaiting(t.supersededWaiting);
    const attachments = message.attachments.map(({ name, text }) => ({ name, characters: text.length }));
    const question = new QuestionView({ content: message.text, images: message.images, attachments });
    const view = new AnswerView(this.decide);
    this.add(question, view);
    const options = {
      ...this.around.options(),
      images: message.images,
      attachments: message.attachments,
      requestId: message.id,
      background: true,
    };
    const { id } = this;
    const before = this.turns.length - 2;
    const send = (live: LiveAnswer): Promise<Ending> =>
      live.send((signal) => this.api.sessionStream(id, message.text, { ...options, signal }));
    const isIn = (history: History): boolean => hasQuestion(history, message.text, before);
    const isKept = await this.follow(view, send, isIn, message.id);
    if (!isKept) this.putBack(id, message, view);
  }

  /** A message was not answered, and is not in the history: it can be sent again. */
  private putBack(id: string, message: Message, view: AnswerView): void {
    if (this.around.putBack(id, message)) return;
    view.offer(t.writeAgain, () => this.around.putBack(id, message, true));
  }

  /** Go on with an answer that has waited for decisions, in its place. */
  private readonly decide = (view: AnswerView, asked: string, approve: Record<string, Decision>): void => {
    const { id } = this;
    view.goOn();
    const ask = (signal: AbortSignal): AsyncIterable<Frame> =>
      this.api.decideStream(id, approve, { asked, signal, background: true });
    void this.follow(view, (live) => live.send(ask)).then(async (isWhole) => {
      if (!isWhole && this.id === id) await this.load(); // what waits now is shown
    });
  };

  private async join(): Promise<void> {
    let view = this.turns.at(-1);
    if (!(view instanceof AnswerView)) {
      view = new AnswerView(this.decide);
      this.add(view);
    }
    const shown = view;
    const { id } = this;
    const asked = this.turns.at(-2);
    const before = this.turns.length - 2;
    const question = asked instanceof QuestionView ? asked.question : undefined;
    const isKept = await this.follow(
      shown,
      (live) => live.join(),
      (history) => !question || hasQuestion(history, question.content, before),
    );
    if (isKept || !question) return;
    this.putBack(id, { text: question.content, images: question.images, attachments: [], id: newId() }, shown);
  }

  /** What comes of an answer comes from its beginning. A question that waits for another one is not in the history. */
  private restart(view: AnswerView, question: JoinedQuestion | null): void {
    if (!question) view.goOn();
    view.restart();
    const place = this.turns.indexOf(view);
    const before = this.turns[place - 1];
    if (!question || (before instanceof QuestionView && before.question.content === question.content)) return;
    const missing = new QuestionView(question);
    this.turns.splice(place, 0, missing);
    view.root.before(missing.root);
  }

  /** Show an answer as it arrives; returns whether what it answers is in the history. isIn: whether a history has
   * that. */
  private async follow(
    view: AnswerView,
    begin: (live: LiveAnswer) => Promise<Ending>,
    isIn: (history: History) => boolean = () => true,
    requestId = "",
  ): Promise<boolean> {
    const { id } = this;
    this.reading++;
    this.around.clearError();
    let isDecision = false;
    const watcher = {
      begun: () => this.around.sent(id),
      take: (frame: Frame) => view.take(frame),
      joining: () => view.joining(),
      restart: (question: JoinedQuestion | null) => {
        isDecision = !question;
        this.restart(view, question);
      },
    };
    const live = new LiveAnswer(this.api, id, watcher, requestId);
    this.live = live;
    this.around.setRunning(true);
    let isKept = true;
    try {
      const ending = await begin(live);
      const isCertain = ending === "whole" && !view.hasFailed;
      if (!isCertain && this.live === live) isKept = await this.showEnd(view, live, isIn);
    } catch (error) {
      isKept = false;
      if (this.live === live) {
        view.fail(wordsOf(error) || t.connectionBroke);
        this.around.showError(error);
      }
    }
    if (this.live !== live) return isKept; // it was left, and goes on, or it was not sent
    this.live = undefined;
    this.around.setRunning(false);
    view.end();
    if (isKept && !view.hasFailed) await (isDecision ? this.load() : this.refresh());
    this.around.changed();
    return isKept;
  }

  /** An answer failed, ended while the connection was broken, or is made by another worker of the service: show what
   * the history has of it in the end. Returns whether it has what is answered. */
  private async showEnd(view: AnswerView, live: LiveAnswer, isIn: (history: History) => boolean): Promise<boolean> {
    let { data } = await this.api.getSessionHistory(live.session);
    while (data.running && this.live === live) {
      view.tell(t.working);
      await new Promise((resolve) => setTimeout(resolve, POLL_MILLISECONDS));
      ({ data } = await this.api.getSessionHistory(live.session));
    }
    if (this.live !== live) return true;
    const isKept = isIn(data);
    if (isKept && !view.hasFailed) this.show(data);
    else if (!view.hasFailed) view.fail(t.answerLost);
    return isKept;
  }

  /** Stop the answer that arrives; what has come stays. */
  stop(): void {
    this.live?.stop().catch(this.around.showError);
  }

  /** Show nothing any more. */
  close(): void {
    this.leave();
    this.id = "";
    this.draw([]);
  }

  /** Read no more of the answer that arrives: it goes on. */
  private leave(): void {
    const { live } = this;
    this.reading++;
    this.live = undefined;
    live?.leave();
    this.around.setRunning(false);
  }

  // ---- what can be done with a turn

  /** What the history says of the turns that are shown. */
  private async refresh(): Promise<void> {
    const { id } = this;
    try {
      const { data } = await this.api.getSessionHistory(id);
      if (this.id !== id || this.live) return;
      if (data.messages.length !== this.turns.length) return this.show(data);
      this.history = data;
      this.addActions();
    } catch {
      // it is shown without
    }
  }

  private addActions(): void {
    const { history } = this;
    if (!history) return;
    this.log.querySelectorAll(".actions").forEach((each) => each.remove());
    history.messages.forEach((turn, place) => {
      const view = this.turns[place];
      if (view) view.root.append(actionsView(this.actionsOf(view, turn, place, history)));
    });
  }

  private actionsOf(view: TurnView, turn: Turn, place: number, history: History): Actions {
    const versions = versionsAt(history, turn, (session) => void this.around.open(session));
    if (view instanceof QuestionView) {
      const edit = (): void => void this.edit(turn);
      return { copy: () => view.question.content, edit, ...(versions ? { versions } : {}) };
    }
    const asked = history.messages[place - 1];
    const isLast = place === history.messages.length - 1;
    return {
      copy: () => view.written,
      ...(asked?.role === "user" ? { regenerate: () => void this.regenerate(asked) } : {}),
      ...(isLast && CAN_GO_ON.has(turn.stopped ?? "") ? { goOn: () => this.goOn() } : {}),
    };
  }

  private goOn(): void {
    void this.send({ text: t.goOnMessage, images: [], attachments: [], id: newId() });
  }

  /** An earlier message, to be sent again; undefined where it can't be read. */
  private async messageOf({ content: text, images, begins, attachments: sent = [] }: Turn): Promise<Message | undefined> {
    const { id } = this;
    const attachments: Attachment[] = [];
    try {
      for (const number of sent.keys()) attachments.push((await this.api.getAttachment(id, begins, number)).data);
    } catch (error) {
      this.around.showError(error);
      return undefined;
    }
    return this.id === id ? { text, images, attachments, id: newId() } : undefined;
  }

  private async edit(turn: Turn): Promise<void> {
    const message = await this.messageOf(turn);
    if (message) this.around.edit(message, (edited) => void this.branch(turn.begins, edited));
  }

  private async regenerate(asked: Turn): Promise<void> {
    const message = await this.messageOf(asked);
    if (message) await this.branch(asked.begins, message);
  }

  /** Send a message in the place of an earlier one, in a branch of the conversation. */
  private async branch(begins: number, message: Message): Promise<void> {
    if (this.isBranching) return;
    this.isBranching = true;
    const made = newId();
    const { id } = this;
    try {
      await this.api.branchSession(id, made, begins);
      if (this.id === id) await this.around.open(made);
    } catch (error) {
      this.around.showError(error);
    } finally {
      this.isBranching = false;
    }
    if (this.id === made) await this.send(message);
    else this.around.putBack(id, message, true);
  }
}

/** Whether a history has a question behind what was there before it was sent. before: the number of turns. */
function hasQuestion({ messages }: History, text: string, before: number): boolean {
  return messages.slice(before).some((turn) => turn.role === "user" && turn.content.trim() === text.trim());
}

/** The conversations that part at a turn; undefined where there is but the one. */
function versionsAt(history: History, turn: Turn, open: (session: string) => void): Versions | undefined {
  const apart = (history.branches ?? []).filter((each) => each.begins === turn.begins);
  const sessions = apart.map((each) => each.session_id);
  const shown = sessions.indexOf(history.session_id);
  return turn.role === "user" && sessions.length > 1 && shown >= 0 ? { sessions, shown, open } : undefined;
}

/** The page of a conversation that somebody shares. */
export function sharedViews(turns: Turn[]): HTMLElement[] {
  return turns.map((turn) => {
    if (turn.role === "user") return new QuestionView(turn).root;
    const view = new AnswerView();
    view.fill(turn);
    return view.root;
  });
}
