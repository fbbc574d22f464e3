// After the build: the digest of what the page is built from is put beside it, so that whoever has no Node.js can see
// whether it is current (tests/serving/http/test_page.py computes the same); and the licenses of what is in it.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const BUNDLED = [
  "dompurify",
  "get-east-asian-width",
  "linkify-it",
  "markdown-it",
  "markdown-it-cjk-friendly",
  "mdurl",
  "punycode.js",
  "temml",
  "uc.micro",
];
const TOP = ["docs.html", "index.html", "package-lock.json", "vite.config.ts"];
const FOLDERS = ["public", "src"];

function filesIn(folder) {
  return readdirSync(folder)
    .sort()
    .map((name) => join(folder, name))
    .flatMap((path) => (statSync(path).isDirectory() ? filesIn(path) : [path]));
}

const digest = createHash("sha256");
for (const path of [...TOP, ...FOLDERS.flatMap(filesIn)].sort()) {
  digest.update(path.replaceAll("\\", "/")).update("\0").update(readFileSync(path)).update("\0");
}
const told = digest.digest("hex");
if (process.argv.includes("--write")) {
  const folder = "../agentkit/serving/http/static";
  writeFileSync(`${folder}/built-from.txt`, `${told}\n`);
  writeFileSync(`${folder}/licenses.txt`, BUNDLED.map(license).join("\n\n"));
}

// The page has code of these packages in it, whose licenses ask to be handed on.
function license(name) {
  const folder = `node_modules/${name}`;
  const { version } = JSON.parse(readFileSync(`${folder}/package.json`, "utf-8"));
  const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
  return `${name} ${version}\n\n${readFileSync(`${folder}/${file}`, "utf-8")}`;
}
console.log(told);
