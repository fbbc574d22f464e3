import { defineConfig } from "vite";

// The built page lies in the Python package, which serves its files under static/. All addresses are relative: the
// service may lie under a path of a reverse proxy.
export default defineConfig({
  base: "/static/",
  // A table of all names of characters, which every browser has.
  resolve: { alias: { entities: "/src/markdown/entities.ts" } },
  experimental: {
    renderBuiltUrl: (name, { hostType }) => (hostType === "html" ? `static/${name}` : { relative: true }),
  },
  build: {
    outDir: "../agentkit/serving/http/static",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 2000,
    rollupOptions: {
      input: { index: "index.html", docs: "docs.html" },
      output: {
        entryFileNames: "[name].js",
        chunkFileNames: "[name].js",
        assetFileNames: "[name][extname]",
        // Formulas are loaded when an answer has one.
        codeSplitting: {
          groups: [
            { name: "page", test: /src\/(?:dom\.ts|page\.css)/, priority: 1 },
            { name: "markdown", test: /src\/markdown\/(?!mathml)|node_modules\/(?!temml)/ },
          ],
        },
      },
    },
  },
});
