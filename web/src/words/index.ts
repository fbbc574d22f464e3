// What the page says, in the reader's language.
import { de } from "./de";
import { en, type Words } from "./en";
import { zh } from "./zh";

export type { Words };

const LANGUAGES: Record<string, Words> = { en, de, zh };

function chosen(): [string, Words] {
  for (const language of navigator.languages.length ? navigator.languages : [navigator.language]) {
    const found = LANGUAGES[language.toLowerCase().split("-")[0] ?? ""];
    if (found) return [/^zh-(hant|tw|hk|mo)/i.test(language) ? "zh-Hans" : language, found]; // what is shown is simplified
  }
  return ["en", en];
}

/** The language's tag, such as "de-AT", and its words. */
export const [language, t] = chosen();

/** The words of the elements of the page's own HTML: `data-t` names that of the text, `data-t-label` and
 * `data-t-placeholder` those of attributes. */
export function translate(root: ParentNode): void {
  const word = (name: string | undefined): string => String(t[name as keyof Words]);
  for (const each of root.querySelectorAll<HTMLElement>("[data-t]")) each.textContent = word(each.dataset["t"]);
  for (const each of root.querySelectorAll<HTMLElement>("[data-t-label]")) {
    each.setAttribute("aria-label", word(each.dataset["tLabel"]));
    if (each instanceof HTMLButtonElement) each.title = word(each.dataset["tLabel"]);
  }
  for (const each of root.querySelectorAll<HTMLElement>("[data-t-placeholder]")) {
    each.setAttribute("placeholder", word(each.dataset["tPlaceholder"]));
  }
}
