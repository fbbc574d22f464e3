// The documentation of the API, from its own description (OpenAPI 3.1).
import { element } from "./dom";
import "./page.css";

interface Schema {
  $ref?: string;
  type?: string;
  anyOf?: Schema[];
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  enum?: unknown[];
  const?: unknown;
  default?: unknown;
  description?: string;
}
interface Content {
  content?: Record<string, { schema?: Schema }>;
  description?: string;
}
interface Operation {
  summary?: string;
  description?: string;
  parameters?: { name: string; in: string; schema: Schema; required?: boolean }[];
  requestBody?: Content;
  responses: Record<string, Content>;
}
interface Described {
  info: { title: string; version: string; description: string };
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema> };
}

const place = document.getElementById("docs")!;

function typeOf(schema: Schema): string {
  if (schema.$ref) return schema.$ref.split("/").at(-1) ?? "object";
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(" | ");
  if (schema.enum) return schema.enum.map((each) => JSON.stringify(each)).join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  return schema.items ? `${typeOf(schema.items)}[]` : (schema.type ?? "any");
}

function fields(described: Described, content: Content | undefined): HTMLElement[] {
  return Object.entries(content?.content ?? {}).flatMap(([type, { schema }]) => {
    if (!schema) return [element("p", "", element("code", "", type))];
    const name = schema.$ref?.split("/").at(-1);
    const whole = name ? described.components.schemas[name] : schema;
    const rows = Object.entries(whole?.properties ?? {}).map(([field, each]) =>
      element(
        "tr",
        "",
        element("td", "", element("code", "", field + (whole?.required?.includes(field) ? "" : "?"))),
        element("td", "", element("code", "", typeOf(each))),
        element("td", "", each.default === undefined || each.default === null ? "" : JSON.stringify(each.default)),
      ),
    );
    const note = whole?.description ? [element("p", "", whole.description)] : [];
    return [element("p", "", element("code", "", type), " ", name ?? ""), ...note, element("table", "", ...rows)];
  });
}

function operationView(described: Described, path: string, method: string, operation: Operation): HTMLElement {
  const fold = element(
    "details",
    "fold",
    element("summary", "", element("code", "", `${method.toUpperCase()} ${path}`), ` ${operation.description ?? ""}`),
  );
  for (const each of operation.parameters ?? []) {
    fold.append(element("p", "", element("code", "", each.name), ` in ${each.in}: ${typeOf(each.schema)}`));
  }
  if (operation.requestBody) fold.append(element("h3", "", "Request"), ...fields(described, operation.requestBody));
  for (const [status, response] of Object.entries(operation.responses)) {
    const shown = status.startsWith("2") ? fields(described, response) : [];
    fold.append(element("h3", "", `${status} ${response.description ?? ""}`), ...shown);
  }
  return fold;
}

async function show(): Promise<void> {
  const response = await fetch("openapi.json");
  const described = (await response.json()) as Described;
  place.append(element("h1", "", `${described.info.title} ${described.info.version}`));
  place.append(element("p", "", described.info.description));
  for (const [path, operations] of Object.entries(described.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      place.append(operationView(described, path, method, operation));
    }
  }
}

void show();
