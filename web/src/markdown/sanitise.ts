// What a model says may quote a hostile page: of the HTML that is made of it, only what can do no harm stays.
import DOMPurify from "dompurify";

const purify = DOMPurify(window);
const mathsPurify = DOMPurify(window);
/** Of formulas. */
const MATHS_CLASSES = new Set(
  "tml-right tml-left tml-jot tml-small tml-fbox tml-overline tml-underline tml-cancel tml-xcancel tml-eqn upstrike downstrike sout".split(" "),
);
const CLASSES = new Set(
  "code table maths to note label image task done to-left to-right to-center level1 level2 level3 level4 level5 level6".split(" "),
);

purify.addHook("uponSanitizeAttribute", (_, attribute) => {
  if (attribute.attrName === "class") attribute.keepAttr = attribute.attrValue.split(" ").every((each) => CLASSES.has(each));
});

mathsPurify.addHook("uponSanitizeAttribute", (_, attribute) => {
  if (attribute.attrName === "class") attribute.keepAttr = attribute.attrValue.split(" ").every((each) => MATHS_CLASSES.has(each));
});

purify.addHook("afterSanitizeAttributes", (node) => {
  if (node instanceof HTMLAnchorElement) {
    if (node.hash && node.getAttribute("href")!.startsWith("#")) {
      node.dataset["to"] = decoded(node.hash.slice(1));
      node.className = "to";
      node.removeAttribute("href"); // it would be the address of another conversation
    }
    if (node.dataset["to"]) {
      node.tabIndex = 0;
      node.setAttribute("role", "link");
    } else if (node.href) {
      node.target = "_blank";
      node.rel = "noopener noreferrer nofollow";
    } else node.replaceWith(...node.childNodes);
  }
  // An image of another server would tell it who reads this, and what was asked (in its address).
  if (node instanceof HTMLImageElement && !node.src.startsWith("data:image/")) {
    node.replaceWith(document.createTextNode(node.alt || node.src));
  }
});

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const TAGS = (
  "a b blockquote br code del details div em h2 h3 h4 h5 h6 hr i img kbd li mark ol p pre s span strong sub summary sup " +
  "table tbody td th thead tr u ul"
).split(" ");
const ATTRIBUTES = "alt class data-language data-maths data-name data-to dir href open role src start tabindex title".split(" ");

purify.setConfig({
  ALLOWED_TAGS: TAGS,
  ALLOWED_ATTR: ATTRIBUTES,
  ADD_URI_SAFE_ATTR: ATTRIBUTES.filter((name) => name !== "href" && name !== "src"),
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:|data:image\/(?:png|jpeg|gif|webp);base64,|#)/i,
  RETURN_DOM_FRAGMENT: true,
});
mathsPurify.setConfig({
  USE_PROFILES: { mathMl: true },
  ADD_TAGS: ["div"],
  ADD_ATTR: ["style", "class"],
  FORBID_ATTR: ["id", "href"],
  IN_PLACE: true,
});

/** The blocks of a text, each in an element of its own. */
export function sanitised(blocks: string[]): Element[] {
  const made = purify.sanitize(blocks.map((block) => `<div>${block}</div>`).join("")) as unknown as DocumentFragment;
  return [...made.children];
}

/** A formula, without anything that asks for a file or can be clicked. */
export function sanitisedMaths(math: Element): Element | undefined {
  const holder = document.createElement("div");
  holder.append(math);
  mathsPurify.sanitize(holder);
  return holder.firstElementChild ?? undefined;
}
