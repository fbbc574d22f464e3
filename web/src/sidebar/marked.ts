// A text in which some parts are marked; all of it are texts.
import { element } from "../dom";
import { plain } from "./search";

/** matches: the parts, in whole characters (code points). Those that overlap are one. */
export function markedText(text: string, matches: readonly [number, number][]): (string | HTMLElement)[] {
  const characters = [...text];
  const parts: (string | HTMLElement)[] = [];
  let place = 0;
  for (const [start, end] of [...matches].sort(([one], [other]) => one - other)) {
    if (end <= place || start >= characters.length) continue;
    const from = Math.max(start, place);
    parts.push(characters.slice(place, from).join(""), element("mark", "", characters.slice(from, end).join("")));
    place = end;
  }
  parts.push(characters.slice(place).join(""));
  return parts.filter((each) => each !== "");
}

/** Where words stand in a text, whatever their case and width. */
export function placesOf(words: readonly string[], text: string): [number, number][] {
  const characters = [...text].map(plain);
  const places: [number, number][] = [];
  for (const word of words.map(plain).filter(Boolean)) {
    for (let start = 0; start < characters.length; start++) {
      let end = start;
      let part = "";
      while (end < characters.length && part.length < word.length) part += characters[end++];
      if (part === word) places.push([start, end]);
    }
  }
  return places;
}
