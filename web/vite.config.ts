/**
 * The application: `npm run web` serves it, `npm run build:web` writes dist/web, a folder for any static host. Paths are
 * relative, so that it works below any URL.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig, type Plugin } from 'vite';
import { notices } from './notices.ts';
import { HEADERS, POLICY } from './policy.ts';

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** Only in the built page: the development server needs inline styles for hot reloading. */
const policy: Plugin = {
  name: 'content-security-policy',
  apply: 'build',
  transformIndexHtml: () => [
    { tag: 'meta', attrs: { 'http-equiv': 'Content-Security-Policy', content: POLICY }, injectTo: 'head-prepend' },
  ],
};

/** Hosts that know such a file (Netlify, Cloudflare Pages and others) take the headers from it, and do not serve it. */
const HEADERS_FILE = '_headers';
const headers: Plugin = {
  name: 'headers',
  apply: 'build',
  generateBundle() {
    const lines = Object.entries(HEADERS).map(([name, value]) => `  ${name}: ${value}\n`);
    this.emitFile({ type: 'asset', fileName: HEADERS_FILE, source: `/*\n${lines.join('')}` });
  },
};

/** Writes the service worker's list of files: everything built, under a name that changes with its content. */
const offline: Plugin = {
  name: 'offline',
  apply: 'build',
  generateBundle: {
    order: 'post',
    handler(_options, bundle) {
      const hash = createHash('sha256');
      const names = Object.keys(bundle)
        .filter((name) => name !== HEADERS_FILE)
        .sort();
      for (const name of names) {
        const file = bundle[name];
        hash.update(`${name}\0`).update(file.type === 'chunk' ? file.code : file.source);
      }
      const text = readFileSync(path('service-worker.js'), 'utf8');
      const files = ['./', ...names.filter((name) => name !== 'index.html'), 'icon.svg', 'manifest.webmanifest'];
      const source = text
        .replace("'@files'", files.map((name) => JSON.stringify(name)).join(', '))
        .replace('@version', hash.digest('hex').slice(0, 16));
      this.emitFile({ type: 'asset', fileName: 'sw.js', source });
    },
  },
};

const licenses = notices();

export default defineConfig({
  root: path('.'),
  base: './',
  cacheDir: path('../node_modules/.cache/attune/web'),
  // `webgpu` is the native binding for Node; Chrome has navigator.gpu.
  optimizeDeps: { exclude: ['webgpu'] },
  server: { host: 'localhost', port: 5180 },
  preview: { host: 'localhost', port: 5180, headers: HEADERS },
  worker: { format: 'es', plugins: () => [licenses.collect] },
  build: {
    outDir: path('../dist/web'),
    emptyOutDir: true,
    target: 'es2023',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 1000,
  },
  plugins: [policy, headers, licenses.collect, licenses.write, offline],
});
