/**
 * Build and test settings. The pages are served from the root path by the app, under a content security policy without
 * inline code.
 */
import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [react()],
  build: {
    target: "es2022",
    // Every asset is a file of our own: nothing is inlined, so `style-src 'self'` and `script-src 'self'` hold.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { proxy: { "/api": "http://127.0.0.1:8000" } },
  test: { environment: "node", include: ["src/**/*.test.{ts,tsx}"] },
});
