import { defineConfig } from "vite";

// The built page lies in the Python package, which serves it under /static/.
export default defineConfig({
  base: "/static/",
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
      },
    },
  },
});
