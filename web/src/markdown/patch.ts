// Make what is shown like what was drawn anew, and keep the elements that stay: with what is selected in them, and how far
// they are scrolled.
export function patch(shown: Element, drawn: Element): void {
  for (const { name } of [...shown.attributes]) if (!drawn.hasAttribute(name) && name !== "open") shown.removeAttribute(name);
  for (const { name, value } of drawn.attributes) if (shown.getAttribute(name) !== value) shown.setAttribute(name, value);
  const olds = [...shown.childNodes];
  const news = [...drawn.childNodes];
  news.forEach((node, index) => {
    const old = olds[index];
    if (!old) shown.append(node);
    else patchNode(old, node);
  });
  for (const old of olds.slice(news.length)) old.remove();
}

function patchNode(old: ChildNode, node: ChildNode): void {
  if (old instanceof Text && node instanceof Text) {
    if (old.data === node.data) return;
    if (node.data.startsWith(old.data)) old.appendData(node.data.slice(old.data.length));
    else old.data = node.data;
  } else if (old instanceof Element && node instanceof Element && old.tagName === node.tagName && old.tagName !== "math") {
    patch(old, node);
  } else if (!old.isEqualNode(node)) old.replaceWith(node);
}
