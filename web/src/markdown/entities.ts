// The named characters of HTML (&amp;, &copy; …), for markdown-it, which would bring a table of 24 KB: the browser has it.
// vite.config.ts puts this in the place of the package `entities`.
const reader = document.createElement("textarea"); // in which nothing but entities is read

/** A text with each entity that ends with a semicolon replaced; markdown-it asks for one at a time. */
export function decodeHTMLStrict(text: string): string {
  return text.replace(/&(?:#\d{1,8}|#x[\da-f]{1,7}|[a-z][a-z\d]{1,40});/gi, (entity) => {
    reader.innerHTML = entity;
    return reader.value;
  });
}
