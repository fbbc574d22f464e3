// What a model says, as HTML that can do no harm: it may quote a hostile page.
import DOMPurify from "dompurify";
import { marked } from "marked";

marked.use({ gfm: true, breaks: true });

const purify = DOMPurify(window);

purify.addHook("afterSanitizeAttributes", (node) => {
  if (node instanceof HTMLAnchorElement) {
    node.target = "_blank";
    node.rel = "noopener noreferrer nofollow";
  }
  // A image of another server would tell it who reads this, and what was asked (in its address).
  if (node instanceof HTMLImageElement && !node.src.startsWith("data:image/")) {
    node.replaceWith(document.createTextNode(`[image: ${node.alt || node.src}]`));
  }
});

const ALLOWED_TAGS = (
  "a b blockquote br code del em h1 h2 h3 h4 h5 h6 hr i img li ol p pre strong sub sup table tbody td th thead tr ul"
).split(" ");
const ALLOWED_ATTR = ["href", "title", "alt", "src", "align", "start"];

export function markdown(text: string): DocumentFragment {
  const html = marked.parse(text, { async: false });
  return purify.sanitize(html, {
    ALLOWED_TAGS,
    ALLOWED_ATTR,
    ALLOW_DATA_ATTR: false,
    ALLOWED_URI_REGEXP: /^(?:https?:|mailto:|data:image\/(?:png|jpeg|gif|webp);base64,|#)/i,
    RETURN_DOM_FRAGMENT: true,
  });
}
