/**
 * The operator's page: `npm run build` writes dist/operator, which `attune serve` answers with at /. Paths are relative, so
 * that it works behind a proxy that adds a prefix.
 */
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';
import { notices } from '../notices.ts';

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const licenses = notices();

export default defineConfig({
  root: path('.'),
  base: './',
  publicDir: false,
  cacheDir: path('../../node_modules/.cache/attune/operator'),
  // `npx vite -c web/operator/vite.config.ts` beside a running server, while the page is worked on.
  server: {
    host: 'localhost',
    port: 5181,
    proxy: { '/v1': 'http://127.0.0.1:8080', '/readyz': 'http://127.0.0.1:8080' },
  },
  build: {
    outDir: path('../../dist/operator'),
    emptyOutDir: true,
    target: 'es2023',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  plugins: [licenses.collect, licenses.write],
});
