import { defineConfig } from "vitest/config";

export default defineConfig({
  test: { globalSetup: "./tests/service.ts", testTimeout: 20_000, hookTimeout: 60_000 },
});
