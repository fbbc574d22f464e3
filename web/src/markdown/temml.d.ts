// What mathml.ts uses of Temml, whose own description is of its whole only.
declare module "temml/src/Settings.js" {
  export default class Settings {
    constructor(options: Record<string, unknown>);
    maxSize: number[];
  }
}
declare module "temml/src/Style.js" {
  export default class Style {
    constructor(options: { level: number; maxSize: number[] });
  }
}
declare module "temml/src/parseTree.js" {
  export default function parseTree(tex: string, settings: unknown): unknown;
}
declare module "temml/src/buildMathML.js" {
  export default function buildMathML(tree: unknown, tex: string, style: unknown, settings: unknown): { toNode(): Node };
}
