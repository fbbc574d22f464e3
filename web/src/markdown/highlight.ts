// The parts of a program's text in colours.
import { type Kind, type Language, LANGUAGES } from "./languages";

const LONGEST = 100_000;
const byName = new Map(Object.entries(LANGUAGES).flatMap(([names, language]) => names.split(" ").map((name) => [name, language])));
const patterns = new Map<Language, RegExp>();
/** A name that is called, and one as types have them. */
const NAMES = String.raw`([A-Za-z_]\w*)(?=\()|(\b[A-Z]\w*)|[A-Za-z_]\w*`;

/** A part of code; without a kind it is in no colour. */
export type Piece = [text: string, kind?: Kind | "type"];

/** Code in a language, in pieces; undefined where the language is not known. */
export function highlighted(code: string, name: string): Piece[] | undefined {
  const language = byName.get(name.toLowerCase());
  if (!language || code.length > LONGEST) return undefined;
  if (language === byName.get("html")) return withScripts(code);
  return piecesOf(code, language);
}

function piecesOf(code: string, language: Language): Piece[] {
  const made: Piece[] = [];
  let done = 0;
  for (const found of code.matchAll(patternOf(language))) {
    const kind = kindOf(found, language);
    if (!kind || !found[0]) continue;
    if (found.index > done) made.push([code.slice(done, found.index)]);
    made.push([found[0], kind]);
    done = found.index + found[0].length;
  }
  if (done < code.length) made.push([code.slice(done)]);
  return made;
}

function patternOf(language: Language): RegExp {
  let pattern = patterns.get(language);
  if (!pattern) {
    const kinds = language.kinds.map(([, each]) => `(${each})`);
    pattern = new RegExp([...kinds, ...(language.hasNames ? [NAMES] : [])].join("|"), language.isCaseless ? "gim" : "gm");
    patterns.set(language, pattern);
  }
  return pattern;
}

function kindOf(found: RegExpExecArray, { kinds, isCaseless }: Language): Kind | "type" | undefined {
  const place = kinds.findIndex((_, index) => found[index + 1] !== undefined);
  if (place >= 0) return kinds[place]![0];
  if (found[kinds.length + 1] !== undefined) return "name";
  return found[kinds.length + 2] !== undefined && !isCaseless ? "type" : undefined;
}

/** HTML, with what is in it in other languages. */
function withScripts(code: string): Piece[] {
  const made: Piece[][] = [];
  let done = 0;
  for (const found of code.matchAll(/<(script|style)\b[^>]{0,500}>([^]*?)(?:<\/(?:script|style)|$(?![^]))/gi)) {
    const begin = found.index + found[0].indexOf(">") + 1;
    made.push(piecesOf(code.slice(done, begin), byName.get("xml")!));
    made.push(piecesOf(found[2]!, byName.get(found[1]!.toLowerCase() === "style" ? "css" : "ts")!));
    done = begin + found[2]!.length;
  }
  made.push(piecesOf(code.slice(done), byName.get("xml")!));
  return made.flat();
}
