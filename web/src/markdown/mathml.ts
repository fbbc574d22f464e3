// Formulas as MathML, by Temml: loaded when an answer has one. Its parts are imported from its sources, since the whole has
// what a page does not need.
import buildMathML from "temml/src/buildMathML.js";
import parseTree from "temml/src/parseTree.js";
import Settings from "temml/src/Settings.js";
import Style from "temml/src/Style.js";
import { sanitisedMaths } from "./sanitise";

const LONGEST = 10_000;
/** What defines commands may make of a short formula an endless one. */
const DEFINES = /\\(?:[gex]?def|let|futurelet|(?:re)?newcommand|providecommand|includegraphics|href|url)(?![A-Za-z])/;
const [DISPLAY, TEXT] = [0, 1];
const MOST_KEPT = 300;
const kept = new Map<string, Element>();

/** A formula; undefined for what is none, or not in a way that is known. */
export function mathml(tex: string, isDisplay: boolean): Element | undefined {
  const key = `${isDisplay}${tex}`;
  let made = kept.get(key);
  if (!made) {
    made = built(tex, isDisplay);
    if (!made) return undefined;
    if (kept.size >= MOST_KEPT) kept.clear();
    kept.set(key, made);
  }
  return made.cloneNode(true) as Element;
}

function built(tex: string, isDisplay: boolean): Element | undefined {
  if (tex.length > LONGEST || DEFINES.test(tex)) return undefined;
  try {
    const settings = new Settings({ displayMode: isDisplay, throwOnError: true, strict: false, trust: false, maxSize: [20, 50] });
    const style = new Style({ level: isDisplay ? DISPLAY : TEXT, maxSize: settings.maxSize });
    const node = buildMathML(parseTree(tex, settings), tex, style, settings).toNode();
    return node instanceof Element ? sanitisedMaths(node) : undefined;
  } catch {
    return undefined; // what a model writes is not always LaTeX, or nested too deeply
  }
}
