/** examples/serve: the page in Chromium and the script in sh, against a running server. */
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { type Browser, chromium, type Page } from 'playwright';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { build as bundle, type PreviewServer, preview } from 'vite';
import { chromiumArgs, findChromium } from '../../scripts/system.mjs';
import { startServer, type TestServer } from '../server/server.ts';
import { build, root } from './paths.ts';

const example = path.join(root, 'examples/serve');
const executablePath = findChromium();
const hasCurl = spawnSync('curl', ['--version']).status === 0;
const out = mkdtempSync(path.join(tmpdir(), 'attune-serve-example-'));

let server: TestServer;
let site: PreviewServer;
let browser: Browser | null = null;
let page: Page;
let url: string;

beforeAll(async () => {
  build();
  server = await startServer();
  process.env.ATTUNE_URL = server.address;
  const options = {
    root: example,
    configFile: path.join(example, 'vite.config.js'),
    logLevel: 'silent' as const,
    build: { outDir: out, emptyOutDir: true },
  };
  await bundle(options);
  site = await preview({ ...options, preview: { host: 'localhost', port: 0 } });
  url = site.resolvedUrls?.local[0] as string;
  if (executablePath) browser = await chromium.launch({ executablePath, args: [...chromiumArgs] });
});
afterAll(async () => {
  await browser?.close();
  await site?.close();
  await server?.close();
  delete process.env.ATTUNE_URL;
  rmSync(out, { recursive: true, force: true });
});

const listed = (list: string): Promise<string[]> =>
  page.$$eval(`#${list} li`, (all) => all.map((one) => (one as HTMLElement).dataset.id as string));
const click = async (list: string, id: string, name: string, done: RegExp): Promise<void> => {
  await page.locator(`#${list} li[data-id="${id}"]`).getByRole('button', { name }).click();
  await page.getByRole('status').filter({ hasText: done }).waitFor();
};

test.skipIf(!executablePath)('the page shows what the server recommends after each event', async () => {
  page = await (browser as Browser).newPage();
  const wrong: string[] = [];
  page.on('pageerror', (error) => wrong.push(String(error)));
  await page.goto(url);
  await page.getByRole('status').filter({ hasText: 'welcome' }).waitFor();
  const user = (await page.locator('#me').textContent()) as string;
  const recommended = () => server.ids('GET', `/v1/users/${user}/recommendations?k=8`);
  const first = await listed('next');
  expect(first).toEqual(await recommended());

  const [item, other] = await listed('popular');
  await click('popular', item, 'Look', /^you looked at/);
  expect(await listed('similar')).toEqual(await server.ids('GET', `/v1/items/${item}/similar?k=4`));
  expect(await listed('next')).toEqual(await recommended());
  expect(await listed('next')).not.toEqual(first);

  await click('popular', other, 'Buy', /^you bought/);
  expect(await listed('next')).toEqual(await recommended());
  const [unwanted] = await listed('next');
  await click('next', unwanted, 'Not for me', /^no more of/);
  expect(await listed('next')).toEqual(await recommended());
  expect(await listed('next')).not.toContain(unwanted);
  expect((await server.context.store.user(user, 10))?.events.map(({ type }) => type)).toEqual([
    'view',
    'purchase',
    'not-interested',
  ]);

  await page.getByRole('button', { name: 'Erase' }).click();
  await page.getByRole('status').filter({ hasText: 'nothing is known' }).waitFor();
  expect(await server.context.store.user(user, 10)).toBe(null);
  expect(await listed('next')).toEqual(first);
  expect(wrong).toEqual([]);
});

test.skipIf(!hasCurl)('the script runs to its end', async () => {
  const { stdout } = await promisify(execFile)('sh', [path.join(example, 'shop.sh'), server.address]);
  const answers = stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line));
  expect(answers).toHaveLength(7);
  const [popular, before, added, after, similar, session, erased] = answers;
  const item = popular.items[0].id;
  for (const list of [before, after, similar, session]) expect(list.items).toHaveLength(3);
  expect(added).toEqual({ added: 1, duplicates: 0 });
  expect(after.items[0].explanation.sentence).toMatch(/./);
  for (const list of [after, similar, session])
    expect(list.items.map(({ id }: { id: string }) => id)).not.toContain(item);
  expect(erased).toEqual({ deleted: true });
  expect((await server.context.store.sizes()).users).toBe(0);
});
