// The places of formulas in a text: each shows its LaTeX until it can be drawn, and when it can't be.
type Draw = (tex: string, isDisplay: boolean) => Element | undefined;

const CLOSES: Record<string, string> = { "\\(": "\\)", "\\[": "\\]", $$: "$$", $: "$", "": "" };
const waiting = new Set<HTMLElement>();
let draw: Draw | undefined;
let loading: Promise<void> | undefined;

/** Show the formula of an element, whose text is its LaTeX. */
export function showFormula(place: HTMLElement): void {
  place.dataset["tex"] = place.textContent ?? "";
  if (draw) return show(place, draw);
  place.textContent = written(place);
  waiting.add(place);
  loading ??= load();
}

async function load(): Promise<void> {
  try {
    draw = (await import("./mathml")).mathml;
  } catch {
    loading = undefined; // the service is not reached: the next formula tries again
    return;
  }
  for (const place of waiting) show(place, draw);
  waiting.clear();
}

function show(place: HTMLElement, drawn: Draw): void {
  const isBlock = place.tagName === "DIV" || place.dataset["maths"] === "\\[";
  place.replaceChildren(drawn(place.dataset["tex"] ?? "", isBlock) ?? written(place));
}

/** The formula as the answer has it. */
export function written(place: HTMLElement): string {
  const opens = place.dataset["maths"] ?? "";
  return `${opens}${place.dataset["tex"]}${CLOSES[opens]}`;
}
