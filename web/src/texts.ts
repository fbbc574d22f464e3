// Texts and JSON that others wrote, as they are shown: with what hides or reorders text made visible, and with no number
// changed. JavaScript reads each number as a double: 9007199254740993 would become 9007199254740992, and 1e400 null.

type JsonObject = Record<string, unknown>;

/** What newer browsers have (Chromium 114, Firefox 135, Safari 18.4), and the library of TypeScript does not describe. */
interface NewerJSON {
  parse(json: string, reviver: (name: string, value: unknown, context?: { source?: string }) => unknown): unknown;
  rawJSON?(json: string): unknown;
}
const newer: NewerJSON = JSON;
const LONGEST_NUMBER = 40;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value of a JSON text, its numbers rounded; undefined where it is no JSON. */
export function parsed(json: string): unknown {
  try {
    return JSON.parse(json) as unknown;
  } catch {
    return undefined;
  }
}

/** The object in a JSON text, which JSON.stringify writes with the same numbers; undefined where it is none, or where
 * this browser would change a number. */
export function exactObject(json: string): JsonObject | undefined {
  const value = parsed(json);
  if (!isObject(value)) return undefined;
  const { rawJSON } = newer;
  if (!rawJSON) return hasExactNumbers(json) ? value : undefined;
  const asWritten = (_: string, each: unknown, context?: { source?: string }): unknown =>
    typeof each === "number" && context?.source ? rawJSON(context.source) : each;
  return newer.parse(json, asWritten) as JsonObject;
}

/** Whether the numbers of a JSON text keep their values in JavaScript. */
export function hasExactNumbers(json: string): boolean {
  const outside = json.replace(/\\./g, "").split('"').filter((_, place) => place % 2 === 0); // of strings
  return outside.every((text) => (text.match(/-?\d[\d.eE+-]*/g) ?? []).every(isExact));
}

/** Whether a number as it is written keeps its value in JavaScript. */
export function isExact(written: string): boolean {
  if (written.length > LONGEST_NUMBER) return false;
  const value = decimal(written);
  return value !== undefined && value === decimal(String(Number(written)));
}

/** A number in one of the ways to write its value; undefined for what is none. */
function decimal(written: string): string | undefined {
  const [, sign, whole = "", part = "", exponent = "0"] = /^(-?)(\d*)(?:\.(\d+))?(?:e([+-]?\d+))?$/i.exec(written) ?? [];
  if (!(whole + part)) return undefined;
  const digits = (whole + part).replace(/^0+/, "");
  const shortest = digits.replace(/0+$/, "");
  if (!shortest) return `${sign}0`;
  return `${sign}${shortest}e${Number(exponent) - part.length + digits.length - shortest.length}`;
}

/** JSON in lines, as it is where that would change a number. */
export function pretty(json: string): string {
  const value = exactObject(json);
  return value ? JSON.stringify(value, null, 1) : json;
}

const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\u{e0000}-\u{e007f}]/gu;

/** A text in which characters that can't be seen, or turn the order of others around, are written as codes. */
export function visible(text: string): string {
  return text.replace(HIDDEN, (each) => `\\u{${each.codePointAt(0)!.toString(16)}}`);
}

/** JSON in which they are written as JSON writes them, so that it has the same value. */
export function visibleJSON(json: string): string {
  const coded = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return json.replace(HIDDEN, (each) => (each === "\r" ? each : each.split("").map(coded).join("")));
}
