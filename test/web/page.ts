/** The built application (see setup.ts) on a server of its own, and Chromium to use it with. */
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { parquetWriteBuffer } from 'hyparquet-writer';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright';
import { expect } from 'vitest';
import { chromiumArgs, findChromium } from '../../scripts/system.mjs';

const root = fileURLToPath(new URL('../../', import.meta.url));
const built = path.join(root, 'dist/web');
/** Pictures, and traces of failures. */
const OUTPUT = path.join(root, 'test/web/output');

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.webmanifest': 'application/manifest+json',
};

export interface Site {
  url: string;
  /** Path → bytes sent, compressed, of every script so far. */
  scripts: Map<string, number>;
  close(): Promise<void>;
}

/** The headers of the built `_headers` file, which names those of every path. */
async function builtHeaders(): Promise<Record<string, string>> {
  const [paths, ...lines] = (await readFile(path.join(built, '_headers'), 'utf8')).trimEnd().split('\n');
  if (paths !== '/*') throw new Error(`_headers: expected /*, got ${paths}`);
  return Object.fromEntries(lines.map((line) => line.trim().split(': ', 2)));
}

/** Serves the built application as a static host would that reads `_headers`, so that they bind the worker, too. */
export async function serveSite(): Promise<Site> {
  const headers = await builtHeaders();
  const scripts = new Map<string, number>();
  const server: Server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const file = path.join(built, pathname === '/' ? 'index.html' : pathname);
    if (!file.startsWith(built)) return void response.writeHead(404).end();
    readFile(file).then(
      (bytes) => {
        const body = gzipSync(bytes, { level: 9 });
        if (file.endsWith('.js')) scripts.set(pathname, body.length);
        response.writeHead(200, {
          'Content-Type': TYPES[path.extname(file)] ?? 'application/octet-stream',
          'Content-Encoding': 'gzip',
          ...headers,
        });
        response.end(body);
      },
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
  const url = `http://localhost:${(server.address() as AddressInfo).port}/`;
  const close = () => new Promise<void>((resolve) => server.close(() => resolve()));
  return { url, scripts, close };
}

/** @param gpu false: as a browser without WebGPU */
export function launch(gpu = true): Promise<Browser> {
  return chromium.launch({
    executablePath: findChromium(),
    chromiumSandbox: false,
    args: gpu ? chromiumArgs : chromiumArgs.filter((arg) => arg !== '--enable-unsafe-webgpu'),
  });
}

/** A visitor's window that notes what must not happen. */
export interface Visit {
  context: BrowserContext;
  page: Page;
  /** Errors of the page, refusals of the policy, requests to elsewhere. */
  wrong: string[];
}

export async function visit(browser: Browser, site: Site, options: { serviceWorkers?: 'block' } = {}): Promise<Visit> {
  const context = await browser.newContext({
    ...options,
    viewport: { width: 1280, height: 860 },
    acceptDownloads: true,
    colorScheme: 'light',
  });
  await context.tracing.start({ snapshots: true }); // pictures of every frame would take as long as the tests themselves
  const page = await context.newPage();
  page.setDefaultTimeout(600_000);
  const wrong: string[] = [];
  page.on('pageerror', (error) => wrong.push(`error: ${error.message}`));
  page.on('console', (message) => {
    if (/Content Security Policy/i.test(message.text())) wrong.push(message.text());
  });
  context.on('request', (request) => {
    if (!request.url().startsWith(site.url) && !/^(blob|data):/.test(request.url())) wrong.push(request.url());
  });
  await page.addInitScript(() => {
    addEventListener('securitypolicyviolation', (event) =>
      console.error(`Content Security Policy: ${event.blockedURI}`),
    );
  });
  await page.goto(site.url);
  return { context, page, wrong };
}

interface TraceEvent {
  name: string;
  ph: string;
  pid: number;
  tid: number;
  tdur?: number;
  args?: { name?: string };
}

/** Milliseconds of the longest task of a thread, and of all of them. */
export interface Busy {
  longest: number;
  sum: number;
}

/**
 * What the page's main thread did while `work` went on, in that thread's own time: what other programs on a busy machine
 * take from it is not the page's doing. (Chromium traces no such tasks of workers.)
 */
export async function mainThread(browser: Browser, page: Page, work: () => Promise<void>): Promise<Busy> {
  await browser.startTracing(page, { categories: ['toplevel'] });
  await work();
  const { traceEvents } = JSON.parse((await browser.stopTracing()).toString()) as { traceEvents: TraceEvent[] };
  const threads = new Set(
    traceEvents
      .filter(({ name, args }) => name === 'thread_name' && args?.name === 'CrRendererMain')
      .map(({ pid, tid }) => `${pid} ${tid}`),
  );
  const tasks = traceEvents.filter(
    ({ name, ph, pid, tid }) => name === 'ThreadControllerImpl::RunTask' && ph === 'X' && threads.has(`${pid} ${tid}`),
  );
  if (tasks.length === 0) throw new Error('mainThread: the trace holds no tasks of the page');
  const milliseconds = tasks.map(({ tdur = 0 }) => tdur / 1000);
  return { longest: Math.max(...milliseconds), sum: milliseconds.reduce((sum, ms) => sum + ms, 0) };
}

/** A test's file in the output folder. */
const outputOf = (test: string, ending: string): string =>
  path.join(OUTPUT, `${test.replace(/[^\w]+/g, '-').slice(0, 80)}.${ending}`);

export function screenshot(page: Page, name: string): Promise<unknown> {
  return page.screenshot({ path: outputOf(name, 'png'), fullPage: true });
}

/** Ends a visit; the trace of a failed test stays in the output folder. */
export async function leave(context: BrowserContext, failed: string | null): Promise<void> {
  await context.tracing.stop(failed === null ? {} : { path: outputOf(failed, 'zip') });
  await context.close();
}

/** A test in a window of its own, of which a picture stays at its end, and a trace where it fails. */
export async function visiting(
  browser: Browser,
  site: Site,
  work: (here: Visit) => Promise<void>,
  options: { serviceWorkers?: 'block' } = {},
): Promise<void> {
  const name = expect.getState().currentTestName ?? 'a test';
  const here = await visit(browser, site, options);
  let failed: string | null = name;
  try {
    await work(here);
    failed = null;
  } finally {
    await screenshot(here.page, name).catch(() => {}); // the page may have gone
    await leave(here.context, failed);
  }
}

/** Shoppers who go round the shelves in order, each from a start of their own; two have bought too little to count. */
export function smallLog(): { csv: string; items: string } {
  const rows = ['who,what,when'];
  let time = 1_700_000_000;
  for (let user = 0; user < 40; user++) {
    for (let i = 0; i < 12; i++) rows.push(`person ${user},thing-${(user * 5 + i) % 24},${(time += 3600)}`);
  }
  rows.push(`passer-by,thing-1,${time}`, `passer-by,rarity,${time}`);
  const kinds = ['tea', 'cups', 'books'];
  const items = Array.from({ length: 24 }, (_, i) => `thing-${i},Thing number ${i},${kinds[i % 3]}`);
  return { csv: rows.join('\n'), items: ['item_id,title,kind', ...items].join('\n') };
}

/** The same log as Parquet, with ratings, and what is known of its users. */
export function parquetLog(): { log: Buffer; users: string } {
  const rows = smallLog()
    .csv.split('\n')
    .slice(1)
    .map((row) => row.split(','));
  const column = (name: string, at: number) => ({ name, data: rows.map((row) => row[at]), type: 'STRING' as const });
  const rating = { name: 'rating', data: rows.map((_, i) => 3 + (i % 3)), type: 'INT32' as const };
  const columnData = [column('user', 0), column('item', 1), column('time', 2), rating];
  const users = Array.from({ length: 40 }, (_, user) => `person ${user},${user % 2 ? 'tea' : 'coffee'}`);
  return {
    log: Buffer.from(parquetWriteBuffer({ columnData })),
    users: ['user_id,drinks', ...users].join('\n'),
  };
}

/** Settings by the labels of their fields. */
export type FieldValues = Readonly<Record<string, string>>;

/** As little as trains at all: a software adapter takes seconds to compile each kernel. */
export const TINY: FieldValues = {
  d: '8',
  ff: '16',
  blocks: '1',
  window: '8',
  maxTokens: '64',
  validateUsers: '40',
  validateSteps: '32',
  learningRate: '0.01',
  transitions: 'off',
};

/** Opens all settings of the page Train. */
export async function openSettings(page: Page): Promise<void> {
  await page.getByText('The ranker', { exact: true }).waitFor({ state: 'attached' });
  const closed = page.locator('form details:not([open]) > summary');
  while ((await closed.count()) > 0) await closed.first().click();
}

/** Fills in settings of the page Train. */
export async function fillSettings(page: Page, values: FieldValues): Promise<void> {
  await openSettings(page);
  for (const [label, value] of Object.entries(values)) {
    const field = page.locator('form').getByLabel(label, { exact: true });
    if (await field.evaluate((element) => element instanceof HTMLSelectElement)) await field.selectOption(value);
    else await field.fill(value);
  }
}
