#!/usr/bin/env node
/**
 * What a click on "Add" costs, in milliseconds (mean, its standard error, median):
 *
 *   node bench/clicks.mjs MODEL.attune [--clicks 40] [--json]
 *
 * `host`: `recommender.recommend` in Node on Dawn's null device, which runs no kernel: JavaScript, validation and messages
 * alone. `page`: in the built application (dist/web) in Chromium, from the click until the list is in the page; and
 * `query`, the part of it that the worker waits for its answer. Needs dist/ and dist/web.
 */
import { parseArgs } from 'node:util';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright';
import { preview } from 'vite';
import { chromiumArgs, findChromium } from '../scripts/system.mjs';
import { Device } from '../dist/engine/index.js';
import { Recommender } from '../dist/recommend/node.js';

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { clicks: { type: 'string', default: '40' }, json: { type: 'boolean', default: false } },
});
const [model] = positionals;
const clicks = Number(flags.clicks);
if (!model || !(clicks >= 2)) {
  process.stderr.write('usage: node bench/clicks.mjs MODEL.attune [--clicks 40] [--json]\n');
  process.exit(2);
}

function summary(values) {
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  const variance = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (values.length - 1);
  const median = [...values].sort((a, b) => a - b)[values.length >> 1];
  return { mean, error: Math.sqrt(variance / values.length), median };
}

async function onHost() {
  const device = await Device.open({ backend: 'webgpu', dawn: ['backend=null'] });
  const recommender = await Recommender.load(model, { device });
  const ids = recommender.items.map(({ id }) => id);
  const history = (n) => Array.from({ length: n }, (_, i) => ids[i % ids.length]);
  // What a device without kernels answers makes no list.
  const ask = (n) => recommender.recommend({ history: history(n), k: 10 }).catch(() => {});
  for (let n = 1; n <= clicks; n++) await ask(n);
  const before = device.stats();
  const times = [];
  for (let n = 1; n <= clicks; n++) {
    const started = performance.now();
    await ask(n);
    times.push(performance.now() - started);
  }
  const after = device.stats();
  const each = Object.fromEntries(
    ['dispatches', 'submits', 'waits', 'bindGroups', 'pipelines'].map((name) => [
      name,
      (after[name] - before[name]) / clicks,
    ]),
  );
  recommender.close();
  device.close();
  return { host: summary(times), each };
}

async function inPage() {
  const configFile = fileURLToPath(new URL('../web/vite.config.ts', import.meta.url));
  const server = await preview({ configFile, logLevel: 'error', preview: { port: 0 } });
  const browser = await chromium.launch({
    executablePath: findChromium(),
    chromiumSandbox: false,
    args: [...chromiumArgs],
  });
  try {
    const page = await browser.newPage();
    page.setDefaultTimeout(120_000);
    await page.goto(`${server.resolvedUrls.local[0]}#/models`);
    const chooser = page.waitForEvent('filechooser');
    await page.getByRole('button', { name: 'Open an .attune file' }).click();
    await (await chooser).setFiles(model);
    await page.getByRole('link', { name: 'Ask it' }).click();
    await page.locator('.found button').first().click();
    await page.getByText('Computed in').waitFor(); // compiled
    await page.waitForTimeout(5000);
    const device = (await page.locator('.device').textContent()).replace(/^.*?: /, '');
    const times = await page.evaluate(async (n) => {
      const answer = document.querySelector('[aria-labelledby=next-title]');
      const status = answer.querySelector('[role=status]');
      const buttons = document.querySelectorAll('.found button');
      const found = [];
      for (let i = 0; i < n; i++) {
        const started = performance.now();
        await new Promise((resolve) => {
          const seen = new MutationObserver(() => {
            seen.disconnect();
            resolve();
          });
          seen.observe(answer, { subtree: true, childList: true, characterData: true, attributes: true });
          buttons[i % buttons.length].click();
        });
        found.push([performance.now() - started, Number(/([\d.]+) ms/.exec(status.textContent)?.[1])]);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      return found;
    }, clicks);
    return { device, page: summary(times.map(([all]) => all)), query: summary(times.map(([, query]) => query)) };
  } finally {
    await browser.close();
    await server.close();
  }
}

const result = { ...(await onHost()), ...(await inPage()), clicks };
if (flags.json) process.stdout.write(`${JSON.stringify(result)}\n`);
else {
  const line = ({ mean, error, median }) => `${mean.toFixed(2)} ± ${error.toFixed(2)}, median ${median.toFixed(2)}`;
  const counts = Object.entries(result.each).map(([name, n]) => `${n} ${name}`);
  process.stdout.write(`a click: ${counts.join(', ')}\n`);
  process.stdout.write(`host    ${line(result.host)} ms\n`);
  process.stdout.write(`page    ${line(result.page)} ms on ${result.device}\n`);
  process.stdout.write(`query   ${line(result.query)} ms\n`);
}
