// The real service, for as long as the tests run.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  interface ProvidedContext {
    service: { url: string; key: string };
  }
}

export default async function setup(project: TestProject): Promise<() => void> {
  const own = "../.venv/bin/python";
  const python = process.env["PYTHON"] ?? (existsSync(own) ? own.slice(3) : "python3");
  const child = spawn(python, ["-m", "tests.support.web_service"], { cwd: "..", stdio: ["pipe", "pipe", "inherit"] });
  const line = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once("line", resolve);
    child.once("exit", (code) => reject(new Error(`the service ended with ${code}`)));
  });
  project.provide("service", JSON.parse(line));
  return () => void child.stdin.end();
}
