// A conversation as a file: JSON as the service gives it, or Markdown to be read.
import type { History, ToolCallOut, Turn } from "../api";
import { element } from "../dom";
import { pretty } from "../texts";
import { language, t } from "../words";

const MAX_NAME = 80; // characters of a file's name
/** What file systems do not take, and characters that can't be seen. */
const NOT_IN_NAMES = /[\\/:*?"<>|\s\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]+/gu;
const RESERVED = /^(con|prn|aux|nul|com\d|lpt\d)$/i;

export function exportJSON(history: History): void {
  save(`${fileName(history.name)}.json`, "application/json", `${JSON.stringify(history, null, 2)}\n`);
}

export function exportMarkdown(history: History): void {
  save(`${fileName(history.name)}.md`, "text/markdown", markdownOf(history));
}

/** A conversation as Markdown. What its users wrote is quoted, so that no line of it can be taken for a heading. */
export function markdownOf({ name, session_id, messages }: History): string {
  const parts = [`# ${name || session_id}`];
  for (const turn of messages) parts.push(...(turn.role === "user" ? questionOf(turn) : answerOf(turn)));
  return `${parts.join("\n\n")}\n`;
}

function questionOf(turn: Turn): string[] {
  const files = (turn.attachments ?? []).map((each) => `${t.attachment}: ${each.name}`);
  const images = turn.images.map(() => t.imageYouSent);
  return [heading(t.you, turn), quoted(turn.content), ...listed([...files, ...images])].filter(Boolean);
}

function answerOf(turn: Turn): string[] {
  const parts = [heading(t.answer, turn)];
  if (turn.reasoning) parts.push(`**${t.thoughts}**`, quoted(turn.reasoning));
  for (const call of turn.tool_calls) {
    if (call.said?.trim()) parts.push(call.said);
    parts.push(...callOf(call));
  }
  parts.push(...listed(turn.images.map(() => t.imageOfTool)));
  if (turn.content) parts.push(turn.content);
  const sources = new Map((turn.citations ?? []).map((each) => [each.source, each]));
  sources.delete(null);
  const lines = [...sources].sort(([one], [other]) => one! - other!);
  parts.push(...listed(lines.map(([number, { title, address }]) => `[${number}] ${[title, address].filter(Boolean).join(", ")}`)));
  return parts;
}

function callOf({ name, arguments: given, response, error }: ToolCallOut): string[] {
  const result = error ?? response;
  const failed = error == null ? "" : ` (${t.failed})`;
  const parts = [`**${t.tool}** \`${name.replaceAll("`", "'")}\`${failed}`, fenced(pretty(given), "json")];
  return result == null ? parts : [...parts, fenced(result)];
}

function heading(words: string, { time }: Turn): string {
  return `## ${words}${time ? ` (${new Date(time).toLocaleString(language)})` : ""}`;
}

function listed(lines: string[]): string[] {
  return lines.length ? [lines.map((line) => `- ${line.replace(/\s+/g, " ")}`).join("\n")] : [];
}

function quoted(text: string): string {
  return text && text.split(/\r\n|\r|\n/).map((line) => `> ${line}`.trimEnd()).join("\n");
}

/** A text as a block of code; its fence is longer than any in the text. */
function fenced(text: string, kind = ""): string {
  const longest = Math.max(2, ...Array.from(text.matchAll(/`+/g), ([ticks]) => ticks.length));
  const fence = "`".repeat(longest + 1);
  return `${fence}${kind}\n${text}\n${fence}`;
}

/** A name that file systems take: in all scripts, without what they refuse. */
export function fileName(name: string): string {
  const plain = [...name.replace(NOT_IN_NAMES, " ").trim()].slice(0, MAX_NAME).join("");
  const given = plain.replace(/^\.+|[. ]+$/g, "");
  return !given || RESERVED.test(given) ? `${t.conversation}${given && ` ${given}`}` : given;
}

function save(name: string, kind: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: `${kind};charset=utf-8` }));
  const link = element("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000); // the browser may ask where to put it
}
