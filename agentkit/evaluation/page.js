"use strict";
// Everything is put into the page as text: nothing here makes HTML of a string.
const PAGE = 200, LONG = 1500;
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2028\u2029\u2066-\u2069\ufeff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]|\udb40[\udc00-\udc7f]/g;
const byId = (id) => document.getElementById(id);
const seen = (text) => String(text).replace(/\r\n/g, "\n")
  .replace(HIDDEN, (each) => `⟨U+${each.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}⟩`);

function make(tag, attributes, ...inside) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name === "onclick") made.addEventListener("click", value);
    else if (value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...inside.filter((each) => each !== null && each !== undefined));
  return made;
}

async function unpacked(text) {
  const bytes = Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return JSON.parse(await new Response(stream).text());
}

let data, shown = [], rows = 0;
const records = [];  // of each configuration: by id, once its answers file is read
const state = { text: "", check: "", result: "", group: "", sort: "place", down: false };

const number = (value, digits) => value === null ? "" : value.toLocaleString("en", { maximumFractionDigits: digits });
const kind = (value) => value === null ? "none" : value >= 1 ? "ok" : value > 0 ? "part" : "bad";
const SPENT = { seconds: (it) => it === null ? "" : `${number(it, it < 10 ? 2 : 0)} s`,
  cost: (it) => it === null ? "" : `$${it.toPrecision(2)}`, tokens: (it) => it === null ? "" : `${number(it, 0)} tok`,
  calls: (it) => it === null ? "" : `${number(it, 1)} calls` };

function score(run, check) {  // null: not scored; of all checks: the mean
  if (!run) return null;
  const found = check === "" ? run.scores.filter((each) => each !== null) : [run.scores[data.checks.indexOf(check)]];
  if (!found.length || found[0] === null || found[0] === undefined) return null;
  return found.reduce((sum, each) => sum + each, 0) / found.length;
}
const difference = (item) => {
  const [one, other] = [score(item.runs[0], state.check), score(item.runs[1], state.check)];
  return one === null || other === null ? 0 : other - one;
};
const has = (item, result) => {
  const runs = item.runs.filter(Boolean), first = score(item.runs[0], state.check);
  if (result === "right") return first !== null && first >= 1;
  if (result === "wrong") return first !== null && first < 1;
  if (result === "missing") return runs.some((run) => run.missing);
  if (result === "better") return difference(item) > 0;
  if (result === "worse") return difference(item) < 0;
  if (result === "unsteady") return runs.some((run) => run.unsteady);
  return true;
};

function choose() {
  const words = state.text.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  shown = data.items.filter((item) => (state.group === "" || item.group === state.group)
    && (state.check === "" || item.runs.some((run) => score(run, state.check) !== null))
    && has(item, state.result) && words.every((word) => item.all.includes(word)));
  const value = (item) => state.sort === "place" ? item.place : state.sort === "id" ? item.id
    : state.sort === "score" ? score(item.runs[0], state.check) ?? -1 : state.sort === "difference" ? difference(item)
    : item.runs[0]?.[state.sort] ?? -1;
  const sign = state.down ? -1 : 1;
  shown.sort((one, other) => {
    const [a, b] = [value(one), value(other)];
    return (a < b ? -sign : a > b ? sign : one.place - other.place);
  });
  rows = 0;
  byId("rows").replaceChildren();
  byId("count").textContent = shown.length === data.items.length ? `${number(shown.length, 0)} questions`
    : `${number(shown.length, 0)} of ${number(data.items.length, 0)} questions`;
  for (const head of document.querySelectorAll(".items th[data-sort]")) {
    if (head.dataset.sort === state.sort) head.setAttribute("aria-sort", state.down ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  }
  addRows();
}

function addRows() {
  const made = shown.slice(rows, rows + PAGE).map(row);
  byId("rows").append(...made);
  rows += made.length;
  byId("later").hidden = rows >= shown.length;
  byId("later").textContent = `Show ${Math.min(PAGE, shown.length - rows)} more`;
}

function chips(run, place) {
  const made = make("div", { class: "chips" });
  if (!run) return made;
  if (data.names.length > 1) made.append(make("span", { class: place ? "key second" : "key", title: data.names[place] }));
  if (run.missing) made.append(make("span", { class: "chip none", title: run.error }, run.missing));
  data.checks.forEach((check, place) => {
    const value = run.scores[place];
    if (value === null || (run.missing && !run.output)) return;
    const said = value >= 1 || value <= 0 ? check : `${check} ${number(value * 100, 0)} %`;
    made.append(make("span", { class: `chip ${kind(value)}`, title: `${check}: ${number(value * 100, 1)} %` }, said));
  });
  return made;
}

function row(item) {
  const open = make("button", { type: "button", "aria-expanded": "false" }, make("bdi", {}, item.id));
  const first = item.runs.find((run) => run && run.output) || item.runs[0];
  const tr = make("tr", {},
    make("td", { class: "id" }, open, item.group ? make("span", { class: "group", dir: "auto" }, item.group) : null),
    make("td", {}, make("div", { class: "ask clamp", dir: "auto" }, item.question),
      make("div", { class: "said clamp", dir: "auto" }, first ? first.output || first.error : "")),
    make("td", { class: "marks" }, ...item.runs.map(chips)),
    make("td", { class: "spent" }, ...item.runs.map((run) => make("div", {}, run ? spent(run) : ""))));
  open.addEventListener("click", () => {
    const isOpen = open.getAttribute("aria-expanded") === "true";
    open.setAttribute("aria-expanded", String(!isOpen));
    tr.classList.toggle("open", !isOpen);
    if (isOpen) tr.nextElementSibling.remove();
    else tr.after(make("tr", { class: "more" }, make("td", { colspan: "4" }, inside(item))));
  });
  return tr;
}

const spent = (run) => SPENT[state.sort in SPENT ? state.sort : "seconds"](run[state.sort in SPENT ? state.sort : "seconds"]);

function inside(item) {
  const made = make("div", { class: "inside" }, make("h3", {}, "Question"), text(item.question, item.cut & 1));
  if (item.expected) made.append(make("h3", {}, "Expected"), text(item.expected, item.cut & 2));
  const pair = make("div", { class: "pair" });
  item.runs.forEach((run, place) => {
    const side = make("section", {}, make("h3", {}, data.names.length > 1 ? data.names[place] : "Answer"));
    if (!run) side.append(make("p", { class: "soft" }, "not asked"));
    else side.append(...answered(item, run, place));
    pair.append(side);
  });
  made.append(pair);
  const whole = make("div", {});
  made.append(whole);
  item.runs.forEach((run, place) => { if (run && records[place]) whole.append(...kept(item, place)); });
  if (!item.runs.some((run, place) => run && records[place]))
    made.append(make("p", { class: "hint" }, "Whole texts and messages: choose the answers file above."));
  return made;
}

function answered(item, run, place) {
  const made = [];
  const base = item.runs[0], isOther = place > 0 && base && base.output && run.output && base.output !== run.output;
  if (run.output) made.push(isOther ? changes(base.output, run.output) : text(run.output, run.cut));
  if (run.error) made.push(make("p", { class: "why" }, make("b", {}, `${run.missing || "stopped"}: `), run.error));
  data.checks.forEach((check, number_) => {
    if (run.scores[number_] === null) return;
    const why = run.whys[number_];
    made.push(make("p", { class: "why" }, make("span", { class: `chip ${kind(run.scores[number_])}` }, check),
      ` ${number(run.scores[number_] * 100, 1)} % `, why ? make("span", { dir: "auto" }, why) : null));
  });
  const facts = Object.keys(SPENT).map((each) => SPENT[each](run[each])).filter(Boolean);
  if (run.unsteady) facts.push("repeats differ");
  made.push(make("p", { class: "soft" }, facts.join(" · ")));
  return made;
}

function text(value, isCut) {
  const made = make("div", { class: "text", dir: "auto" }, value);
  if (isCut) made.append(make("span", { class: "soft" }, " … (cut)"));
  return made;
}

function changes(before, after) {  // the words that differ: the longest common sequence of at most LONG words
  const split = (said) => (said.match(/[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0e7f]|[\p{L}\p{N}\p{M}]+|\s+|[^]/gu) || []).slice(0, LONG);
  const [a, b] = [split(before), split(after)];
  const width = b.length + 1, table = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i--)
    for (let j = b.length - 1; j >= 0; j--)
      table[i * width + j] = a[i] === b[j] ? table[(i + 1) * width + j + 1] + 1
        : Math.max(table[(i + 1) * width + j], table[i * width + j + 1]);
  const made = make("div", { class: "text", dir: "auto" });
  let i = 0, j = 0, run = "", tag = "";
  const flush = () => { if (run) made.append(tag ? make(tag, {}, run) : run); run = ""; };
  const add = (to, word) => { if (tag !== to) { flush(); tag = to; } run += word; };
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) { add("", a[i]); i++; j++; }
    else if (j >= b.length || (i < a.length && table[(i + 1) * width + j] >= table[i * width + j + 1])) add("del", a[i++]);
    else add("ins", b[j++]);
  }
  flush();
  return made;
}

const named = (item, place) => item.runs[place]?.name || item.id;  // in an answers file

function kept(item, place) {  // whole texts and messages, from the answers file
  const made = [];
  for (const record of records[place].get(named(item, place)) || []) {
    const of = data.names.length > 1 ? ` · ${data.names[place]}` : "";
    made.push(make("h3", {}, seen(`${record.id}${of}: whole answer`)), text(seen(said(record.output)) || "(none)"));
    for (const message of record.messages || []) {
      const calls = (message.tool_calls || []).map((call) => `→ ${call.function?.name}(${call.function?.arguments})`);
      made.push(make("div", { class: "message" }, make("h3", {}, seen(message.role || "")),
        text(seen([said(message.content), ...calls].filter(Boolean).join("\n")))));
    }
    if (!record.messages && record.tool_calls?.length)
      made.push(make("h3", {}, "Tool calls"), text(seen(JSON.stringify(record.tool_calls, null, 1))));
  }
  return made;
}

const said = (content) => content === null || content === undefined ? "" : typeof content === "string" ? content
  : Array.isArray(content) ? content.map((part) => part?.text ?? `[${part?.type || "part"}]`).join("\n")
  : JSON.stringify(content, null, 1);

function read(content, place) {  // of an id the last line counts
  const found = new Map();
  for (const line of content.split("\n")) {
    let record;
    try { record = JSON.parse(line); } catch { continue; }
    if (!record || typeof record.id !== "string") continue;
    const id = record.id.replace(/#\d+$/, "");
    const same = (found.get(id) || []).filter((each) => each.id !== record.id);
    found.set(id, [...same, record]);
  }
  const known = data.items.filter((item) => found.has(named(item, place))).length;
  if (known) records[place] = found;
  byId("loaded").textContent = known ? `${number(known, 0)} questions of ${data.files[place] || "the file"} are read.`
    : "The file has none of these questions.";
  if (known) choose();
}

async function fetchFiles() {
  if (!location.protocol.startsWith("http")) return;  // a browser lets no page read files of the disk by itself
  for (const [place, file] of data.files.entries()) {
    if (!file) continue;
    try {
      const response = await fetch(encodeURIComponent(file));
      if (response.ok) read(await response.text(), place);
    } catch { /* it is not beside the page: it can be chosen */ }
  }
}

function listen() {
  const bind = (id, name) => byId(id)?.addEventListener("input", (event) => { state[name] = event.target.value; choose(); });
  for (const name of ["check", "result", "group"]) bind(name, name);
  bind("find", "text");
  byId("sort").addEventListener("input", (event) => {
    const [sort, order] = event.target.value.split(" ");
    Object.assign(state, { sort, down: order === "down" });
    choose();
  });
  for (const head of document.querySelectorAll(".items th[data-sort] button"))
    head.addEventListener("click", () => {
      const sort = head.parentElement.dataset.sort;
      Object.assign(state, { sort, down: state.sort === sort ? !state.down : false });
      choose();
    });
  byId("later").addEventListener("click", addRows);
  for (const link of document.querySelectorAll("[data-item]"))
    link.addEventListener("click", () => {
      Object.assign(state, { text: "", check: "", result: "", group: "" });
      for (const id of ["find", "check", "result", "group"]) if (byId(id)) byId(id).value = "";
      byId("find").value = state.text = link.dataset.item;
      choose();
      byId("rows").querySelector("button")?.click();
      byId("items").scrollIntoView();
    });
  document.querySelectorAll("input[type=file]").forEach((input, place) =>
    input.addEventListener("change", async () => { if (input.files[0]) read(await input.files[0].text(), place); }));
}

async function begin() {
  data = await unpacked(byId("data").textContent.trim());
  const names = ["scores", "whys", "output", "error", "missing", "unsteady", "cut", "seconds", "cost", "tokens", "calls",
    "name"];
  data.items = data.items.map(([id, question, expected, group, cut, runs], place) => {
    const item = { id, question, expected, group, cut, place };
    item.runs = runs.map((run) => run && Object.fromEntries(names.map((name, at) => [name, run[at]])));
    item.all = [id, question, expected, ...item.runs.map((run) => run?.output || "")].join("\n").toLocaleLowerCase();
    return item;
  });
  listen();
  choose();
  await fetchFiles();
}
begin();
