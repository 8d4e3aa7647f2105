/**
 * The guides' pictures of the operator's page: `node web/operator/screenshots.mjs MODEL LOG.csv` serves a model of the demo
 * shop (`npm start`), with the other models beside it, to the shoppers of its log for three minutes, swaps the model by the
 * page's button, and writes docs/operator-*.png. Each shopper's last purchase comes after the list, which was not trained
 * on it.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'csv-parse/sync';
import { chromium } from 'playwright';
import { chromiumArgs, findChromium } from '../../scripts/system.mjs';

const path = (name) => fileURLToPath(new URL(name, import.meta.url));
const WIDE = { width: 1280, height: 1200 };
const MINUTES = 3;
const [model, log] = process.argv.slice(2);
if (!model || !log) {
  process.stderr.write('usage: node web/operator/screenshots.mjs MODEL LOG.csv\n');
  process.exit(2);
}

/** User → items and times in milliseconds, oldest first. */
const shoppers = new Map();
for (const { user, item, timestamp } of parse(readFileSync(log), { columns: true }))
  shoppers.set(user, [...(shoppers.get(user) ?? []), { item, time: 1000 * Number(timestamp) }]);

const folder = mkdtempSync(join(tmpdir(), 'attune-pictures-'));
const store = join(folder, 'shop.db');
const args = ['serve', '--model', model, '--port', '0', '--store', store, '--log', 'error'];
const server = spawn(process.execPath, [path('../../dist/cli/main.js'), ...args], {
  stdio: ['ignore', 'ignore', 'pipe'],
});
const ended = new Promise((resolve) => server.once('exit', resolve));
const address = await new Promise((resolve, reject) => {
  let said = '';
  server.stderr.setEncoding('utf8').on('data', (text) => {
    said += text;
    const [, port] = /serving .* on http:\/\/127\.0\.0\.1:(\d+)/.exec(said) ?? [];
    if (port) resolve(`http://localhost:${port}`);
  });
  server.once('exit', () => reject(new Error(said)));
});

const send = (url, body) =>
  fetch(`${address}${url}`, {
    method: body ? 'POST' : 'GET',
    headers: body ? { 'content-type': 'application/json' } : {},
    body: body && JSON.stringify(body),
  }).then((answer) => answer.arrayBuffer());

/** One visit: what is known, a list, a look around, and what was bought next. */
async function visit([id, items]) {
  const name = encodeURIComponent(id);
  const known = items.slice(0, -1).map((event) => ({ user: id, ...event }));
  await send('/v1/events', known);
  await send(`/v1/users/${name}/recommendations?k=20`);
  if (Math.random() < 0.5) await send(`/v1/items/${encodeURIComponent(items[0].item)}/similar`);
  if (Math.random() < 0.02) await send('/v1/items/none/similar');
  await send('/v1/events', { user: id, item: items.at(-1).item });
}

let open = true;
async function traffic() {
  const waiting = [...shoppers].filter(([, items]) => items.length > 3);
  const began = Date.now();
  for (let n = 0; open && n < waiting.length; n++) {
    void visit(waiting[n]);
    const minutes = (Date.now() - began) / 60_000;
    await new Promise((resolve) => setTimeout(resolve, 1000 / (9 + 4 * Math.sin(4 * minutes) + 3 * Math.random())));
  }
}

const browser = await chromium.launch({
  executablePath: findChromium(),
  chromiumSandbox: false,
  args: [...chromiumArgs],
});
try {
  const page = await browser.newPage({ viewport: WIDE, colorScheme: 'light', reducedMotion: 'reduce' });
  page.setDefaultTimeout(120_000);
  await page.goto(`${address}/`);
  const busy = traffic();
  await page.waitForTimeout((MINUTES * 60_000) / 2);
  await page
    .getByRole('button', { name: /^Swap in/ })
    .first()
    .click();
  await page.getByText(/ answers now\. /).waitFor();
  await page.waitForTimeout((MINUTES * 60_000) / 2);
  const [[id]] = shoppers;
  await page.getByLabel('User ID').fill(id);
  await page.getByRole('button', { name: 'Show the list' }).click();
  await page.getByText(` items for ${id}`).waitFor();
  await page.mouse.move(0, 0);
  await page.getByLabel('User ID').blur();
  const headings = { light: 'minute-title', dark: 'user-title' };
  for (const [theme, heading] of Object.entries(headings)) {
    await page.emulateMedia({ colorScheme: theme });
    await page.evaluate((id) => {
      scrollTo(0, 0);
      const { top } = document.getElementById(id).getBoundingClientRect();
      scrollTo(0, top < innerHeight / 2 ? 0 : top - 40);
    }, heading);
    await page.waitForTimeout(1500);
    await page.screenshot({ path: path(`../../docs/operator-${theme}.png`) });
  }
  open = false;
  await busy;
} finally {
  await browser.close();
  server.kill('SIGTERM');
  await ended;
  rmSync(folder, { recursive: true });
}
