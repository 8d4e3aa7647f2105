/** examples/federated: several pages in Chromium train one model, and nothing but updates leaves them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Browser, chromium, type Page } from 'playwright';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { build as bundle, type PreviewServer, preview } from 'vite';
import { chromiumArgs, findChromium } from '../../scripts/system.mjs';
import { toArrays } from '../../model/encoders/sequence-model.ts';
import type { MemoryFiles } from '../../model/storage/files.ts';
import { loadModel } from '../../model/storage/load-model.ts';
import { type FederationServer, serveFederation } from '../../server/federation/serve.ts';
import { FEDERATION_PATHS } from '../../train/federated/join.ts';
import { checkTerms } from '../../train/federated/terms.ts';
import { untrained } from '../federated/clients.ts';
import { build, root } from './paths.ts';

const executablePath = findChromium();
const out = mkdtempSync(path.join(tmpdir(), 'attune-federated-'));
const PAGES = 3;

let files: MemoryFiles;
let server: FederationServer;
let site: PreviewServer;
let browser: Browser | null = null;
let url: string;

beforeAll(async () => {
  build();
  const options = {
    root: path.join(root, 'examples/federated'),
    configFile: false as const,
    logLevel: 'silent' as const,
    build: { outDir: out, emptyOutDir: true },
  };
  await bundle(options);
  site = await preview({ ...options, preview: { host: 'localhost', port: 0 } });
  url = site.resolvedUrls?.local[0] as string;
  files = await untrained();
  server = await serveFederation({
    files,
    terms: checkTerms({ rounds: 2, clients: PAGES, noise: 0.1 }),
    host: 'localhost',
    port: 0,
    keys: null,
    cors: [new URL(url).origin],
    log: 'silent',
  });
  if (executablePath) browser = await chromium.launch({ executablePath, args: [...chromiumArgs] });
});
afterAll(async () => {
  await browser?.close();
  await site?.close();
  await server?.close();
  rmSync(out, { recursive: true, force: true });
});

test.skipIf(!executablePath)('pages take part in two rounds, and show lists of the model that they made', async () => {
  const before = toArrays((await loadModel(files)).tensors);
  const sent: { origin: string; path: string; bytes: number }[] = [];
  const wrong: string[] = [];
  const { port } = new URL(server.address);
  const open = async (client: number): Promise<Page> => {
    // A browser of its own, with a history of its own.
    const page = await (await (browser as Browser).newContext()).newPage();
    page.on('pageerror', (error) => wrong.push(String(error)));
    page.on('request', (request) => {
      if (request.method() !== 'POST') return;
      const { origin, pathname } = new URL(request.url());
      sent.push({ origin, path: pathname, bytes: request.postDataBuffer()?.length ?? 0 });
    });
    await page.goto(`${url}?coordinator=http://localhost:${port}`);
    await page.getByRole('status').filter({ hasText: '0 visits' }).waitFor();
    for (let i = 0; i < 3; i++) {
      await page.click(`#shelf [data-id="i${(4 * client + i) % 12}"]`);
      await page
        .getByRole('status')
        .filter({ hasText: `${i + 1} visits` })
        .waitFor();
    }
    return page;
  };
  const pages: Page[] = [];
  for (let client = 0; client < PAGES; client++) pages.push(await open(client));
  for (const page of pages) await page.getByRole('button', { name: 'Take part' }).click();
  for (const page of pages)
    await page
      .getByRole('status')
      .filter({ hasText: /^took part in 2 rounds/ })
      .waitFor({ timeout: 600_000 });
  await server.done;

  const { tensors, weights } = await loadModel(files);
  expect(weights.step).toBe(2);
  const after = toArrays(tensors);
  for (const [name, values] of before) expect(after.get(name), name).not.toEqual(values);
  for (const values of after.values()) expect(values.every(Number.isFinite)).toBe(true);
  expect(wrong).toEqual([]);
  // What left the pages: a ticket's request and an update for each of them and each round, of one size, to the coordinator.
  expect(new Set(sent.map(({ origin }) => origin))).toEqual(new Set([`http://localhost:${port}`]));
  const updates = sent.filter((request) => request.path === FEDERATION_PATHS.updates);
  expect(updates).toHaveLength(2 * PAGES);
  expect(sent.length - updates.length).toBeGreaterThanOrEqual(2 * PAGES);
  expect(new Set(sent.map((request) => request.path))).toEqual(
    new Set([FEDERATION_PATHS.tickets, FEDERATION_PATHS.updates]),
  );
  expect(new Set(updates.map(({ bytes }) => bytes)).size).toBe(1);
});
