// Calls that wait for a person: what would run, and the decision on it. Everything in a call is a model's text, which a
// hostile page may have written: it is shown as text, with what would hide or reorder it made visible.
import type { Approval, Decision, PendingCall } from "./api";
import { EnterKey } from "./composer/enter_key";
import { button, element } from "./dom";
import { exactObject, hasExactNumbers, isExact, isObject, parsed, pretty, visible, visibleJSON } from "./texts";
import { t } from "./words";

type Decide = (approve: Record<string, Decision>) => void;
type Schema = Record<string, unknown>;

let count = 0;
const newId = (): string => `field-${++count}`;

/** The calls that a run has stopped for. Tells all decisions at once, as soon as there are all of them: the calls run in
 * their order. */
export class ApprovalView {
  readonly root = element("div", "approvals");
  private readonly decisions = new Map<string, Decision>();

  constructor(
    readonly approval: Approval,
    private readonly decide: Decide,
  ) {
    const { calls } = approval;
    for (const call of calls) {
      const card = new Card(call, (decision) => this.take(call, decision));
      this.root.append(card.root);
    }
    if (calls.length > 1) this.root.append(element("p", "hint", t.allDecided));
  }

  /** What is told of it to those who listen. */
  get heard(): string {
    return this.approval.calls
      .map(({ name, question }) => {
        const [before, behind] = question ? t.asks : t.wantsToRun;
        return visible(`${before}${name}${behind}${question ? `: ${question.text}` : ""}`);
      })
      .join("\n");
  }

  private take(call: PendingCall, decision: Decision): void {
    this.decisions.set(call.id, decision);
    if (this.decisions.size < this.approval.calls.length) return;
    this.root.querySelector(".hint")?.remove();
    this.decide(Object.fromEntries(this.approval.calls.map(({ id }) => [id, this.decisions.get(id) ?? false])));
  }

  /** It can't be decided any more. */
  close(why: string): void {
    for (const card of this.root.querySelectorAll<HTMLElement>(".approval:not([data-decided])")) settle(card, why);
    this.root.querySelector(".hint")?.remove();
  }
}

function settle(card: HTMLElement, what: string): void {
  const hadFocus = card.contains(document.activeElement);
  card.dataset["decided"] = "";
  card.querySelector(".controls")?.remove();
  card.append(element("p", "decided", what));
  if (!hadFocus) return;
  const next = card.parentElement?.querySelector<HTMLElement>(".approval:not([data-decided])") ?? card;
  next.tabIndex = -1;
  next.focus({ preventScroll: next === card });
}

class Card {
  readonly root = element("section", "approval");
  private readonly controls = element("div", "controls");

  constructor(
    private readonly call: PendingCall,
    private readonly tell: (decision: Decision) => void,
  ) {
    const { question, reason } = call;
    const [before, behind] = question ? t.asks : t.wantsToRun;
    const title = element("h2", "", before, element("code", "", visible(call.name)), behind);
    title.id = newId();
    this.root.setAttribute("aria-labelledby", title.id);
    this.root.append(title);
    if (reason) this.root.append(element("p", "reason", t.needsApproval(visible(reason))));
    if (question) this.root.append(element("p", "question", visible(question.text)));
    this.root.append(argumentsView(call.arguments), this.controls);
    if (question?.problem) this.root.insertBefore(element("p", "failed", visible(question.problem)), this.controls);
    this.draw();
  }

  private draw(): void {
    const { question } = this.call;
    if (!question) this.approve();
    else if (question.schema) this.ask(question.schema);
    else this.yesOrNo();
  }

  private settle(decision: Decision, what: string): void {
    settle(this.root, what);
    this.tell(decision);
  }

  private approve(): void {
    const reason = this.reason();
    const allow = button(t.allow, "primary", () => this.settle(true, t.allowed));
    const change = button(t.change, "", () => this.change());
    const row = element("div", "choices", allow, change, button(t.deny, "", () => this.refuse(reason.value)));
    const hadFocus = this.controls.contains(document.activeElement);
    this.controls.replaceChildren(row, reason);
    if (hadFocus) change.focus();
  }

  private yesOrNo(): void {
    const reason = this.reason();
    const yes = button(t.yes, "primary", () => this.settle(true, t.answeredYes));
    this.controls.replaceChildren(element("div", "choices", yes, button(t.no, "", () => this.refuse(reason.value))), reason);
  }

  private reason(): HTMLInputElement {
    const made = element("input", "why");
    made.type = "text";
    made.maxLength = 4000;
    made.placeholder = t.reason;
    made.setAttribute("aria-label", t.reason);
    const enter = new EnterKey(made, false);
    made.addEventListener("keydown", (event) => {
      if (!enter.sends(event)) return;
      event.preventDefault();
      if (made.value.trim()) this.refuse(made.value);
    });
    return made;
  }

  private refuse(why: string): void {
    const text = why.trim();
    this.settle(text || false, text ? t.deniedFor(text) : t.denied);
  }

  /** Other arguments. */
  private change(): void {
    const field = element("textarea", "changed");
    field.value = visibleJSON(pretty(this.call.arguments));
    field.rows = Math.min(12, field.value.split("\n").length + 1);
    field.spellcheck = false;
    field.setAttribute("aria-label", t.argumentsOf(this.call.name));
    const problem = problemView();
    const run = (): void => {
      const value = exactObject(field.value);
      if (value) this.settle(value, t.allowedWith(visible(JSON.stringify(value))));
      else if (!isObject(parsed(field.value))) problem.textContent = t.noObject;
      else problem.textContent = t.inexactCall;
    };
    const choices = [button(t.runWithThese, "primary", run), button(t.back, "", () => this.draw())];
    this.controls.replaceChildren(field, problem, element("div", "choices", ...choices));
    field.focus();
  }

  /** The answer to a question, by its schema. */
  private ask(schema: Schema): void {
    const fields = fieldsOf(schema);
    const form = element("form", "answer", ...fields.map((field) => field.root));
    form.noValidate = true;
    const problem = problemView();
    const answer = element("button", "primary", t.giveAnswer);
    answer.type = "submit";
    const reason = this.reason();
    const deny = button(t.decline, "", () => this.refuse(reason.value));
    form.append(problem, element("div", "choices", answer, deny), reason);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      try {
        this.settle(read(fields), t.answered);
      } catch (error) {
        problem.textContent = error instanceof Error ? error.message : String(error);
      }
    });
    this.controls.replaceChildren(form);
  }
}

function problemView(): HTMLElement {
  const made = element("p", "failed");
  made.setAttribute("role", "alert");
  return made;
}

function argumentsView(json: string): HTMLElement {
  const value = exactObject(json);
  if (!value) return element("pre", "arguments", visible(json));
  const list = element("dl", "arguments");
  for (const [name, each] of Object.entries(value)) {
    const text = typeof each === "string" ? each : JSON.stringify(each, null, 1);
    list.append(element("dt", "", visible(name)), element("dd", "", visible(text)));
  }
  return list;
}

// ---- the fields of a schema

interface Field {
  root: HTMLElement;
  name: string;
  isRequired: boolean;
  /** undefined: nothing was said. Throws an Error for what is no value. */
  value: () => unknown;
}

/** Of a schema that is no object with properties, one field for the whole answer as JSON (its name is ""). */
function fieldsOf(schema: Schema): Field[] {
  const properties = isObject(schema["properties"]) ? schema["properties"] : {};
  const listed = schema["required"];
  const required = new Set(Array.isArray(listed) ? listed : []);
  const made = Object.entries(properties).map(([name, described]) =>
    fieldOf(name, isObject(described) ? described : {}, required.has(name)),
  );
  return made.length ? made : [jsonField("", t.asJson(t.theAnswer), true, schema["default"])];
}

function fieldOf(name: string, described: Schema, isRequired: boolean): Field {
  const title = typeof described["title"] === "string" ? described["title"] : name;
  const about = typeof described["description"] === "string" ? described["description"] : "";
  const label = isRequired ? visible(title) : t.optional(visible(title));
  const choices = choicesOf(described);
  const given = described["default"];
  if (choices) return choiceField(name, label, about, isRequired, choices, given);
  switch (kindOf(described)) {
    case "boolean":
      // a box that was left alone would say no
      if (!isRequired && typeof given !== "boolean") {
        return choiceField(name, label, about, isRequired, [[t.yes, true], [t.no, false]], given);
      }
      return booleanField(name, label, about, isRequired, given);
    case "integer":
    case "number":
      return numberField(name, label, about, isRequired, given, described);
    case "string":
      return textField(name, label, about, isRequired, given);
    default:
      return jsonField(name, t.asJson(label), isRequired, given, about);
  }
}

function kindOf(described: Schema): unknown {
  const kind = described["type"];
  return Array.isArray(kind) ? kind.find((each) => each !== "null") : kind;
}

/** The values to choose from, with their names; undefined where any value will do. */
function choicesOf(described: Schema): [string, unknown][] | undefined {
  if (Array.isArray(described["enum"])) {
    const names = Array.isArray(described["enumNames"]) ? described["enumNames"] : [];
    return described["enum"].map((value, place) => [named(names[place] ?? value), value]);
  }
  const options = described["oneOf"] ?? described["anyOf"];
  if (!Array.isArray(options) || !options.length) return undefined;
  if (!options.every((each) => isObject(each) && "const" in each)) return undefined;
  return options.map((each: Schema) => [named(each["title"] ?? each["const"]), each["const"]]);
}

const named = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));

function labelled(label: string, about: string, input: HTMLElement): HTMLElement {
  input.id = newId();
  const told = element("label", "", label);
  told.htmlFor = input.id;
  return element("div", "field", told, input, ...(about ? [element("small", "", visible(about))] : []));
}

function choiceField(
  name: string,
  label: string,
  about: string,
  isRequired: boolean,
  choices: [string, unknown][],
  given: unknown,
): Field {
  const select = element("select", "");
  const none = element("option", "", isRequired ? t.choose : "");
  none.value = "";
  select.append(none);
  choices.forEach(([title, value], place) => {
    const option = element("option", "", visible(title));
    option.value = String(place);
    option.selected = given !== undefined && JSON.stringify(value) === JSON.stringify(given);
    select.append(option);
  });
  const value = (): unknown => (select.value === "" ? undefined : choices[Number(select.value)]?.[1]);
  return { root: labelled(label, about, select), name, isRequired, value };
}

function booleanField(name: string, label: string, about: string, isRequired: boolean, given: unknown): Field {
  const input = element("input", "");
  input.type = "checkbox";
  input.checked = given === true;
  const root = labelled(label, about, input);
  root.classList.add("check");
  return { root, name, isRequired, value: () => input.checked };
}

function numberField(
  name: string,
  label: string,
  about: string,
  isRequired: boolean,
  given: unknown,
  described: Schema,
): Field {
  const input = element("input", "");
  input.type = "number";
  input.step = kindOf(described) === "integer" ? "1" : "any";
  if (typeof described["minimum"] === "number") input.min = String(described["minimum"]);
  if (typeof described["maximum"] === "number") input.max = String(described["maximum"]);
  if (typeof given === "number") input.value = String(given);
  const value = (): unknown => {
    if (!input.validity.valid) throw new Error(`${label}: ${input.validationMessage}`);
    if (input.value === "") return undefined;
    if (!isExact(input.value)) throw new Error(`${label}: ${t.inexact}.`);
    return input.valueAsNumber;
  };
  return { root: labelled(label, about, input), name, isRequired, value };
}

function textField(name: string, label: string, about: string, isRequired: boolean, given: unknown): Field {
  const input = element("input", "");
  input.type = "text";
  if (typeof given === "string") input.value = given;
  return { root: labelled(label, about, input), name, isRequired, value: () => input.value || undefined };
}

function jsonField(name: string, label: string, isRequired: boolean, given: unknown, about = ""): Field {
  const input = element("textarea", "");
  input.rows = 3;
  if (given !== undefined) input.value = JSON.stringify(given, null, 1);
  const value = (): unknown => {
    if (!input.value.trim()) return undefined;
    const made = parsed(input.value);
    if (made === undefined) throw new Error(`${label}: ${t.noJson}`);
    if (!hasExactNumbers(input.value)) throw new Error(`${label}: ${t.inexact}.`);
    return made;
  };
  return { root: labelled(label, about, input), name, isRequired, value };
}

/** The answer in the fields. Throws an Error that says what is missing or wrong. */
function read(fields: Field[]): Record<string, unknown> {
  const found = fields.map((field) => [field, field.value()] as const);
  const missing = found.find(([field, value]) => field.isRequired && value === undefined);
  if (missing) throw new Error(t.isMissing(missing[0].name || t.theAnswer));
  const [first] = found;
  if (first && first[0].name === "") {
    if (!isObject(first[1])) throw new Error(t.noObject);
    return first[1];
  }
  return Object.fromEntries(found.filter(([, value]) => value !== undefined).map(([field, value]) => [field.name, value]));
}
