// What the scripts share: their arguments, the tool and the type that they use, and running each ability at both servers.
//
// node SCRIPT DIRECT_URL DIRECT_MODEL THROUGH_URL THROUGH_MODEL [ABILITY,... and these four for these abilities]...
import { readFileSync } from "node:fs";
import { z } from "zod";

const given = process.argv.slice(2);
const sidesOf = ([directUrl, directModel, throughUrl, throughModel]) => ({
  direct: { baseURL: directUrl, model: directModel },
  through: { baseURL: throughUrl, model: throughModel },
});
const SIDES = sidesOf(given);
const OTHER_SIDES = {};
for (let place = 4; place < given.length; place += 5)
  for (const name of given[place].split(",")) OTHER_SIDES[name] = sidesOf(given.slice(place + 1));

export const versionOf = (name) =>
  JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url))).version;

export const QUESTION = "What is the weather in Paris?";
export const HELLO = [{ role: "user", content: "Hello" }];
export const weatherArguments = z.object({ city: z.string() });
export const weather = ({ city }) => `It is sunny in ${city}.`;
export const person = z.object({ name: z.string(), age: z.number().int() });

export const ORIGIN = "https://app.example";
const ALWAYS_ALLOWED = new Set(["accept", "accept-language", "content-language"]);

// A fetch that does for a page at ORIGIN what browsers do for it: it asks the server first whether the page may send the
// request's headers, and gives the page nothing of a response that is not for its origin.
export async function browserFetch(url, init) {
  const headers = new Headers(init.headers);
  const names = [...headers.keys()].filter((name) => !ALWAYS_ALLOWED.has(name));
  const asked = { "access-control-request-method": init.method, "access-control-request-headers": names.join(",") };
  const preflight = await fetch(url, { method: "OPTIONS", headers: { origin: ORIGIN, ...asked } });
  const told = (preflight.headers.get("access-control-allow-headers") ?? "").toLowerCase().split(/, */);
  const missing = told.includes("*") ? [] : names.filter((name) => !told.includes(name));
  if (!preflight.ok || missing.length) throw new Error(`not allowed: ${preflight.status} ${missing}`);
  headers.set("origin", ORIGIN);
  const response = await fetch(url, { ...init, headers });
  for (const { headers } of [preflight, response]) {
    const origin = headers.get("access-control-allow-origin");
    if (origin !== "*" && origin !== ORIGIN) throw new Error(`not allowed for ${origin}`);
  }
  return response;
}

const kindOf = (error) => (error.name === "Error" ? error.constructor.name : error.name);
const statusOf = (error) => error.status ?? error.statusCode ?? error.lastError?.statusCode;

// The error that a call has to raise: its HTTP status and type.
export async function refusal(call) {
  try {
    await call();
  } catch (error) {
    if (statusOf(error) === undefined) throw error;
    return { status: statusOf(error), type: kindOf(error) };
  }
  return { error: "nothing was raised" };
}

// An error that an ability does not expect is its HTTP status, or its type and message if the SDK itself raises it.
function failure(error) {
  const causes = [error, error.cause, error.cause?.cause].filter((each) => each).map((each) => each.message);
  return { error: statusOf(error) ?? `${kindOf(error)}: ${causes.join(": ")}`.slice(0, 500) };
}

async function outcomeOf(ability, side, tries) {
  try {
    return await ability(side);
  } catch (error) {
    const outcome = failure(error);
    const isClosed = /other side closed|ECONNRESET/.test(outcome.error);
    return isClosed && tries > 1 ? outcomeOf(ability, side, tries - 1) : outcome;
  }
}

// llama.cpp closes connections that were kept alive without saying so, perhaps just when one is used again.
const TRIES = { direct: 3, through: 1 };
const AT_ONCE = 4; // a request spends most of its time waiting

// One row of the matrix: each ability at both servers. An ability takes {baseURL, model} and returns what came out.
export async function row(sdk, version, abilities) {
  const names = Object.keys(abilities);
  const results = Object.fromEntries(names.map((name) => [name, {}])); // in the order of the script
  const sidesFor = (name) => Object.entries(OTHER_SIDES[name] ?? SIDES);
  const waiting = names.flatMap((name) => sidesFor(name).map(([key, side]) => [name, key, side]));
  const work = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const [name, key, side] = next;
      results[name][key] = await outcomeOf(abilities[name], side, TRIES[key]);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return { sdk, version, abilities: results };
}
