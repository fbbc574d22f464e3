// What is told to those who listen to the page. The conversation itself is no live region: it would be read from its
// beginning when it is opened, and an answer piece by piece while it arrives. Screen readers differ in what they make of
// `aria-busy`: some read all the same, others never read what came meanwhile.
import { at, element } from "./dom";
import { t } from "./words";

const LONGEST = 3000; // characters; who wants more of an answer reads it in the conversation
const STAYS = 3000; // milliseconds; later it would only be found twice

let cleared: ReturnType<typeof setTimeout> | undefined;

/** Let a screen reader say something, behind what it says now. */
export function tell(words: string): void {
  if (!words.trim()) return;
  const told = at("told");
  clearTimeout(cleared);
  told.append(element("p", "", shortened(words)));
  cleared = setTimeout(() => told.replaceChildren(), STAYS);
}

function shortened(words: string): string {
  if (words.length <= LONGEST) return words;
  const cut = words.slice(0, LONGEST);
  return `${cut.slice(0, Math.max(cut.lastIndexOf(" "), LONGEST / 2))}… ${t.restToRead}`;
}
