// The conversation that is shown: its turns, the answer that arrives, and what can be done with both.
import { type Attachment, type Decision, type Frame, type History, type JoinedQuestion, LLMError, type LLMAPI, type Turn } from "../api";
import { confirmed } from "../dialogs";
import { arrange } from "../dom";
import { type Ending, isBreak, isRefusalForNow, LiveAnswer, pause } from "../live";
import { newId } from "../routing";
import { wordsOf } from "../service";
import { tell } from "../told";
import { t } from "../words";
import { type Actions, actionsView } from "./actions";
import { AnswerView } from "./answer_view";
import { hasQuestion, isComplete, isOther, isUnanswered, sameTurns, versionsAt } from "./histories";
import { QuestionView } from "./question_view";
import { Scrolling } from "./scrolling";

/** A message that is written. id: its idempotency key. before: how many turns there were when it was first sent. */
export interface Message {
  text: string;
  images: string[];
  attachments: Attachment[];
  id: string;
  before: number;
}

/** What the rest of the page does for the conversation. */
export interface Around {
  /** The session list is not current any more. */
  changed(): void;
  showError(error: unknown): void;
  clearError(): void;
  /** An answer arrives, or none does. */
  setRunning(isRunning: boolean): void;
  /** The service has what was sent in a conversation. id: of the message, "" for a decision. */
  sent(session: string, id: string): void;
  /** A history of the conversation that is shown was read. isIn: whether a message is in it, behind so many turns, and
   * is or was answered. */
  read(isIn: (text: string, before: number) => boolean): void;
  /** A message was not answered: it goes back to where it was written. Returns false where something else is written
   * there; isWanted: it goes there all the same. */
  putBack(session: string, message: Message, isWanted?: boolean): boolean;
  /** Show another conversation. */
  open(session: string): Promise<void>;
  /** Write a message of this conversation anew. begins: its place. */
  edit(begins: number, message: Message, send: (message: Message) => void): void;
  /** Put the focus into the box for what the reader wants to write, also on a phone. */
  startWriting(): void;
  /** The place of the message that was being written anew when the conversation was left. */
  editedIn(session: string): number | undefined;
  /** That is sent. */
  endEdit(session: string, begins: number): void;
  /** Put the focus where one writes. */
  focus(): void;
  /** Those of the tools that may have an effect. */
  effectsOf(tools: string[]): string[];
  /** The options of each message: sampling and the named prompt. */
  options(): Record<string, unknown>;
}

const AWAY_PAUSE = 10_000; // milliseconds between tries to read the history, as long as the service can't be reached
const LAG = 1000; // milliseconds, at most, for which an answer that is complete still counts as in progress
type TurnView = QuestionView | AnswerView;
/** What became of a message: the history has it, or has it not; it was refused; or the service can't be reached. */
type Fate = "kept" | "missing" | "refused" | "away";
/** Why an answer ended that is not all of it; "" where its run has failed. */
const CAN_GO_ON = new Set(["", "cancelled", "seconds", "max_tokens", "length"]);

export class Conversation {
  id = newId();
  history: History | undefined;
  /** Whether nothing was said in it when it was opened. */
  isNew = false;
  private turns: TurnView[] = [];
  private live: LiveAnswer | undefined;
  /** Which reading of the history is the newest: what an older one tells comes too late. */
  private reading = 0;
  private isLoading = false;
  /** Of messages that the history does not have. */
  private readonly lost = new Set<TurnView>();
  /** Of which the history has more than they show. */
  private readonly partial = new WeakSet<TurnView>();
  /** What the buttons of the turns were made for: the number of turns, and the branches. */
  private acted = { turns: 0, branches: "" };
  /** When it was changed last, as the list had it. */
  private updated = "";
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

  /** The turns that the service has. */
  private get kept(): TurnView[] {
    return this.turns.filter((turn) => !this.lost.has(turn));
  }

  /** How many there are. */
  get length(): number {
    return this.kept.length;
  }

  /** Show a conversation from its beginning. An answer that arrives in the one that was shown goes on without a
   * reader. isNew: there is nothing to be read of it yet. */
  async open(id: string, isNew = false): Promise<void> {
    this.leave();
    this.id = id;
    this.isNew = isNew;
    this.history = undefined;
    this.updated = "";
    this.draw([]);
    this.around.clearError();
    if (isNew) return;
    await this.load();
    if (this.id === id) await this.reopenEdit();
  }

  /** Go on with the message that was being written anew when the conversation was left. */
  private async reopenEdit(): Promise<void> {
    const edited = this.around.editedIn(this.id);
    const turn = this.history?.messages.find(({ role, begins }) => role === "user" && begins === edited);
    if (turn) await this.edit(turn, true);
  }

  /** Read the history, and show it; an answer that is in progress is joined. While the service can't be reached, it is
   * tried again. isAway: it can't be reached now. isIn: what the history must have to be shown. Returns whether it has,
   * as far as is known. */
  private async load(isAway = false, isIn: (history: History) => boolean = () => true): Promise<boolean> {
    const { id } = this;
    const reading = ++this.reading;
    const isCurrent = (): boolean => reading === this.reading; // else another was opened, or something was sent
    this.isLoading = true;
    for (;;) {
      if (isAway) await pause(AWAY_PAUSE);
      if (!isCurrent()) return true;
      try {
        const { data } = await this.api.getSessionHistory(id);
        if (!isCurrent()) return true;
        this.isLoading = false;
        if (isAway) this.around.clearError();
        if (!isIn(data)) return false;
        this.show(data);
        void this.joinIn(data);
        return true;
      } catch (error) {
        if (!isCurrent()) return true;
        const mayPass = error instanceof LLMError && (isBreak(error) || isRefusalForNow(error));
        if (isUnknown(error)) {
          if (isAway) this.around.clearError();
        } else if (!(mayPass && isAway)) this.around.showError(error);
        this.isLoading = isAway = mayPass;
        if (!isAway) return true;
      }
    }
  }

  /** What the list says of the conversation that is shown: what was said elsewhere is shown, too. */
  noteListed({ updated, running }: { updated: string; running: boolean }): void {
    const before = this.updated;
    this.updated = this.live ? "" : updated;
    if (!this.live && ((before && before !== updated) || running)) void this.catchUp();
  }

  /** The list does not have it any more: returns whether it is gone. */
  async isGone(): Promise<boolean> {
    const { id } = this;
    if (this.live || this.isEmpty) return false;
    try {
      await this.api.getSessionHistory(id);
      return false;
    } catch (error) {
      return isUnknown(error) && this.id === id && !this.live;
    }
  }

  /** Show what was said elsewhere: in another tab, or by another client. isSure: an answer is in progress, if the history
   * says so. */
  async catchUp(isSure = false): Promise<void> {
    if (this.live || this.isLoading || this.turns.some((turn) => turn instanceof AnswerView && turn.hasOffer)) return;
    const reading = ++this.reading;
    try {
      const { data } = await this.api.getSessionHistory(this.id);
      if (reading !== this.reading) return;
      if (!this.history || isOther(data, this.history)) this.show(data);
      await this.joinIn(data, isSure);
    } catch {
      // the list tells of it again
    }
  }

  /** Join what is in progress by a history. An answer that is complete counts as in progress a moment longer. */
  private async joinIn(history: History, isSure = false): Promise<void> {
    if (!history.running) return;
    if (isSure || !isComplete(history)) return this.join();
    const { reading } = this;
    await pause(LAG);
    if (reading === this.reading) await this.catchUp(true);
  }

  /** Show a history. Turns that are shown already stay the same elements, with what is open, selected and scrolled to. */
  private show(history: History): void {
    const isFirst = this.isEmpty;
    const there = this.kept.slice(0, sameTurns(this.history, history));
    this.take(history);
    const waiting = history.pending ?? [];
    const hidden = new Set(waiting.map((call) => call.id));
    const isWaiting = waiting.length > 0 && history.messages.at(-1)?.role === "assistant";
    const last = history.messages.length - 1;
    const views = history.messages.map((turn, place) => {
      const shown = there[place];
      if (shown && !this.partial.has(shown)) return shown;
      return this.turnView(turn, isWaiting && place === last ? hidden : undefined);
    });
    this.draw(views);
    const view = this.turns.at(-1);
    if (isWaiting && view instanceof AnswerView) view.wait({ asked: history.asked ?? "", calls: waiting });
    this.addActions();
    if (isFirst) requestAnimationFrame(() => this.scrolling.jump());
  }

  private take(history: History): void {
    this.history = history;
    this.around.read((text, before) => hasQuestion(history, text, before) && !isUnanswered(history));
  }

  private turnView(turn: Turn, hidden?: ReadonlySet<string>): TurnView {
    if (turn.role === "user") return new QuestionView(turn);
    const view = new AnswerView(this.decide);
    view.fill(turn, hidden);
    return view;
  }

  private draw(turns: TurnView[]): void {
    this.turns = turns;
    this.lost.clear();
    const hadFocus = this.log.contains(document.activeElement);
    arrange(this.log, turns.map((turn) => turn.root));
    if (hadFocus && !this.log.contains(document.activeElement)) focusOn(turns.at(-1)?.root ?? this.log);
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
    const send = (live: LiveAnswer): Promise<Ending> =>
      live.send((signal) => this.api.sessionStream(id, message.text, { ...options, signal }));
    const isIn = (history: History): boolean => hasQuestion(history, message.text, message.before);
    const fate = await this.follow(view, send, isIn, message.id);
    if (fate === "kept") return;
    if (this.turns.includes(view)) this.lost.add(question).add(view);
    this.putBack(id, message, view);
    if (fate === "away" && this.turns.includes(view)) await this.load(true, isIn);
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
    void this.follow(view, (live) => live.send(ask)).then(async (fate) => {
      if (fate !== "kept" && this.id === id) await this.load(fate === "away"); // what waits now is shown
    });
  };

  private async join(): Promise<void> {
    // behind an answer that is complete, what is in progress has waited for its turn
    let view = this.history && isComplete(this.history) ? undefined : this.turns.at(-1);
    if (!(view instanceof AnswerView)) {
      view = new AnswerView(this.decide);
      this.add(view);
    }
    const shown = view;
    const { id } = this;
    const asked = this.turns.at(-2);
    const before = this.turns.length - 2;
    const question = asked instanceof QuestionView ? asked.question : undefined;
    const isIn = (history: History): boolean => !question || hasQuestion(history, question.content, before);
    const fate = await this.follow(shown, (live) => live.join(), isIn);
    const isAway = fate === "away" && this.turns.includes(shown);
    const isMissing = fate === "missing" || (isAway && !(await this.load(true, isIn)));
    if (!isMissing || !question) return;
    const message = { text: question.content, images: question.images, attachments: [], id: newId(), before };
    this.putBack(id, message, shown);
  }

  /** What comes of an answer comes from its beginning. A question that waits for another one is not in the history. */
  private restart(view: AnswerView, question: JoinedQuestion | null): void {
    if (!question) view.goOn();
    view.restart(question?.was_cut);
    const place = this.turns.indexOf(view);
    const before = this.turns[place - 1];
    if (!question || (before instanceof QuestionView && before.question.content === question.content)) return;
    const missing = new QuestionView(question);
    this.turns.splice(place, 0, missing);
    view.root.before(missing.root);
  }

  /** Show an answer as it arrives; returns what became of what it answers. isIn: whether a history has that. */
  private async follow(
    view: AnswerView,
    begin: (live: LiveAnswer) => Promise<Ending>,
    isIn: (history: History) => boolean = () => true,
    requestId = "",
  ): Promise<Fate> {
    const { id } = this;
    this.reading++;
    this.isLoading = false;
    this.around.clearError();
    let isPartial = false; // the history has more of it than is shown
    const watcher = {
      begun: () => this.around.sent(id, requestId),
      take: (frame: Frame) => view.take(frame),
      joining: () => view.joining(),
      restart: (question: JoinedQuestion | null) => {
        isPartial ||= !question || Boolean(question.was_cut);
        if (isPartial) this.partial.add(view);
        this.restart(view, question);
      },
    };
    const live = new LiveAnswer(this.api, id, watcher, requestId);
    this.live = live;
    this.updated = "";
    this.around.setRunning(true);
    tell(t.answering);
    let fate: Fate = "kept";
    try {
      const ending = await begin(live);
      const isCertain = ending === "whole" && !view.hasFailed;
      if (!isCertain && this.live === live) fate = await this.showEnd(view, live, isIn);
    } catch (error) {
      fate = error instanceof LLMError && isBreak(error) ? "away" : "refused";
      if (this.live === live) {
        view.fail(wordsOf(error) || t.connectionBroke);
        this.around.showError(error);
      }
    }
    if (this.live !== live) return fate; // it was left, and goes on, or it was not sent
    this.live = undefined;
    this.around.setRunning(false);
    view.end();
    const last = this.turns.at(-1);
    if (fate === "kept" && last instanceof AnswerView && !last.hasFailed) tell(last.heard);
    if (fate === "kept" && !view.hasFailed) await (isPartial ? this.load() : this.refresh());
    this.around.changed();
    return fate;
  }

  /** An answer failed, ended while the connection was broken, or is made by another worker of the service: show what
   * the history has of it in the end. */
  private async showEnd(view: AnswerView, live: LiveAnswer, isIn: (history: History) => boolean): Promise<Fate> {
    const history = await live.ended(() => view.tell(t.working));
    if (!history || this.live !== live) return "kept";
    if (!isIn(history)) {
      if (!view.hasFailed) view.fail(t.answerLost);
      return "missing";
    }
    if (view.hasFailed) {
      this.take(history);
      this.addActions();
    } else this.show(history);
    return "kept";
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
    this.isLoading = false;
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
      if (data.messages.length === this.turns.length) {
        this.take(data);
        this.addActions();
      } else this.show(data);
      void this.joinIn(data);
    } catch {
      // it is shown without
    }
  }

  private addActions(): void {
    const { history } = this;
    if (!history) return;
    const focused = document.activeElement?.closest(".actions")?.parentElement;
    const branches = JSON.stringify(history.branches ?? []);
    // of those before the last ones nothing else can be done than before
    const current = branches === this.acted.branches ? Math.min(this.acted.turns, history.messages.length) - 1 : 0;
    this.acted = { turns: history.messages.length, branches };
    this.kept.forEach((view, place) => {
      const there = view.root.querySelector(":scope > .actions");
      if (there && place < current) return;
      there?.remove();
      const turn = history.messages[place];
      if (turn) view.root.append(actionsView(this.actionsOf(view, turn, place, history)));
    });
    if (focused && this.log.contains(focused)) focusOn(focused);
  }

  private actionsOf(view: TurnView, turn: Turn, place: number, history: History): Actions {
    const versions = versionsAt(history, turn, (session) => void this.around.open(session));
    const isLast = place === history.messages.length - 1;
    const goesOn = isLast && !history.running && CAN_GO_ON.has(turn.stopped) ? { goOn: () => this.goOn() } : {};
    if (view instanceof QuestionView) {
      const edit = (): void => void this.edit(turn);
      return { copy: () => view.question.content, edit, ...goesOn, ...(versions ? { versions } : {}) };
    }
    const asked = history.messages[place - 1];
    const again = asked?.role === "user" ? { regenerate: () => void this.regenerate(asked, turn) } : {};
    return { copy: () => view.written, ...again, ...goesOn };
  }

  private goOn(): void {
    this.around.focus();
    void this.send({ text: t.goOnMessage, images: [], attachments: [], id: newId(), before: this.length });
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
    return this.id === id ? { text, images, attachments, id: newId(), before: 0 } : undefined;
  }

  /** Let a message be written anew. isReopened: it was when the conversation was left. */
  private async edit(turn: Turn, isReopened = false): Promise<void> {
    const { id } = this;
    const message = await this.messageOf(turn);
    if (!message) return;
    const { begins } = turn;
    this.around.edit(begins, message, (edited) => void this.branch(begins, edited, () => this.around.endEdit(id, begins)));
    if (!isReopened) this.around.startWriting();
  }

  /** Answer a message again. The tools of its answer may run again: where they may have an effect, the reader is asked. */
  private async regenerate(asked: Turn, answer: Turn): Promise<void> {
    const tools = this.around.effectsOf([...new Set(answer.tool_calls.map(({ name }) => name))]);
    if (tools.length && !(await confirmed(t.againWith(tools.join(", ")), t.regenerate))) return;
    const message = await this.messageOf(asked);
    if (message) await this.branch(asked.begins, message);
  }

  /** Send a message in the place of an earlier one, in a branch of the conversation. done: called when that is there, or
   * can't be made. */
  private async branch(begins: number, message: Message, done: () => void = () => undefined): Promise<void> {
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
    done();
    if (this.id !== made) {
      this.around.putBack(id, message, true);
      return;
    }
    this.around.focus();
    await this.send({ ...message, before: this.length });
  }
}

/** Whether there is no such conversation. */
function isUnknown(error: unknown): boolean {
  return error instanceof LLMError && error.status === 404;
}

function focusOn(shown: HTMLElement): void {
  if (!shown.hasAttribute("tabindex")) shown.tabIndex = -1;
  shown.focus({ preventScroll: true });
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
