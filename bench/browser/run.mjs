#!/usr/bin/env node
/**
 * `npm run bench:browser [-- --case NAME --scale N --json]`: the kernel cases of `npm run bench` in Chromium, served
 * from the sources by Vite, and the training step there against the same step in Node on the same adapter class: where
 * Chromium computes on its SwiftShader, Node is given that very driver. Needs dist/, Chromium and the development packages.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright';
import { createServer } from 'vite';
import { findChromium } from '../../scripts/system.mjs';
import { createProgress } from '../../dist/cli/output/ui.js';
import { benchCases } from '../../dist/bench/cases.js';
import { kernelsTable } from '../../dist/bench/table.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const HELP = `Usage: npm run bench:browser [-- options]

The kernel cases of npm run bench, in Chromium, against the CPU reference there; and case step: the training step
in Chromium against the same step in Node on the same adapter class.

  --case <name>   only the cases with this in their name (default: all)
  --scale <n>     divide the rows of every case (default: 16 on SwiftShader, 1 elsewhere)
  --json          print one JSON object
  --help`;

/** What the command line asks for. Ends the process with exit code 2 where it makes no sense. */
function options() {
  const usage = (message) => {
    process.stderr.write(`bench:browser: ${message}\n`);
    process.exit(2);
  };
  const known = {
    case: { type: 'string' },
    scale: { type: 'string' },
    json: { type: 'boolean' },
    help: { type: 'boolean' },
  };
  try {
    const { values } = parseArgs({ args: process.argv.slice(2), options: known });
    const scale = values.scale === undefined ? undefined : Number(values.scale);
    if (scale !== undefined && !(Number.isInteger(scale) && scale >= 1))
      usage(`--scale ${values.scale}: expected an integer >= 1`);
    const count = benchCases.filter(({ name }) => name.includes(values.case ?? '')).length;
    const step = 'step'.includes(values.case ?? '');
    if (count === 0 && !step)
      usage(`--case ${values.case}: unknown; there is step, ${benchCases.map(({ name }) => name).join(', ')}`);
    return { ...values, scale, count, step };
  } catch (error) {
    return usage(error.message);
  }
}

const { case: filter, scale, json, help, count, step } = options();
if (help) {
  process.stdout.write(`${HELP}\n`);
  process.exit(0);
}

const server = await createServer({
  root,
  configFile: false,
  logLevel: 'error',
  cacheDir: 'node_modules/.cache/attune/vite',
  server: { host: 'localhost', port: 0, watch: null, hmr: false },
  // `webgpu` is the native binding for Node; Chrome has navigator.gpu.
  optimizeDeps: { entries: ['bench/browser/index.html'], include: ['tinybench'], exclude: ['webgpu'] },
});
let browser;
const bar = createProgress({ total: count + (step ? 1 : 0) });
try {
  await server.listen();
  browser = await chromium.launch({
    executablePath: findChromium(),
    chromiumSandbox: false,
    args: [
      '--enable-unsafe-webgpu',
      '--disable-gpu',
      '--disable-quic',
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost',
    ],
  });
  const page = await browser.newPage();
  page.on('pageerror', (error) => process.stderr.write(`bench:browser: ${error.message}\n`));
  let done = 0;
  await page.exposeFunction('benchCaseDone', (name) => bar.update(++done, { phase: name }));
  await page.goto(`http://localhost:${server.httpServer.address().port}/bench/browser/`);
  await page.waitForFunction('globalThis.benchInBrowser');
  const inPage =
    count === 0
      ? null
      : await page.evaluate((asked) => globalThis.benchInBrowser(asked, globalThis.benchCaseDone), { filter, scale });
  const steps = step ? await benchSteps(page) : null;
  bar.stop();
  if (json) {
    const { rows: kernels, ...rest } = inPage ?? {};
    process.stdout.write(`${JSON.stringify({ ...rest, kernels, step: steps })}\n`);
  } else {
    if (inPage) {
      const scaled = inPage.scale === 1 ? '' : `, rows of each case divided by ${inPage.scale}`;
      process.stdout.write(`kernels on ${inPage.device} in Chromium ${browser.version()}${scaled}\n`);
      process.stdout.write(`${kernelsTable(inPage)}\n`);
    }
    if (steps) process.stdout.write(`${stepText(steps)}\n`);
  }
} catch (error) {
  process.stderr.write(`bench:browser: ${error.message}\n`);
  process.exitCode = 3;
} finally {
  bar.stop();
  await browser?.close();
  await server.close();
}

/** The step in the page, then in Node: one after the other, since both would have all cores. */
async function benchSteps(page) {
  bar.update(count, { phase: 'training step' });
  const chromium = await page.evaluate(() => globalThis.benchStepInBrowser());
  await page.close();
  const driver = join(dirname(findChromium() ?? ''), 'vk_swiftshader_icd.json');
  const shared = ['/usr/lib/chromium/vk_swiftshader_icd.json', driver].find((path) => existsSync(path));
  const env = chromium.swiftshader && shared ? { ...process.env, VK_DRIVER_FILES: shared } : process.env;
  const args = [fileURLToPath(new URL('step.mjs', import.meta.url)), ...(chromium.small ? ['--small'] : [])];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { env, encoding: 'utf8' });
  if (status !== 0) throw new Error(`the step in Node failed: ${stderr.trim().split('\n').at(-1)}`);
  const node = JSON.parse(stdout.trim().split('\n').at(-1));
  return { chromium, node, ratio: chromium.millisecondsPerStep / node.millisecondsPerStep };
}

function stepText({ chromium, node, ratio }) {
  const { d, blocks, window, budget } = chromium.settings;
  const row = (name, { device, millisecondsPerStep: ms, tokensPerSecond, firstStepMilliseconds: first }) =>
    `  ${name.padEnd(9)} ${ms.toFixed(1).padStart(8)} ms a step, ${Math.round(tokensPerSecond)} tokens a second, first step ${(first / 1000).toFixed(1)} s, on ${device}`;
  return [
    `training step, sasrec d ${d}, ${blocks} blocks, window ${window}, batches of ${budget} tokens:`,
    row('Chromium', chromium),
    row('Node', node),
    `  Chromium takes ${ratio.toFixed(2)} times as long as Node`,
  ].join('\n');
}
