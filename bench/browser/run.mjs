#!/usr/bin/env node
/**
 * `npm run bench:browser [-- --case NAME --scale N --json]`: the kernel cases of `npm run bench` in Chromium, served
 * from the sources by Vite, and the training step there against the same step in Node on the same adapter class: where
 * Chromium computes on its SwiftShader, Node is given that very driver. With `--against CHECKOUT` it is held against the
 * step of another checkout's sources, in turns. Needs dist/, Chromium and the development packages.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
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

  --case <name>       only the cases with this in their name (default: all)
  --against <folder>  case step alone: this checkout's step and that of another one, in turns, in the same Chromium
  --scale <n>         divide the rows of every case (default: 16 on SwiftShader, 1 elsewhere)
  --json              print one JSON object
  --help`;

/** What the command line asks for. Ends the process with exit code 2 where it makes no sense. */
function options() {
  const usage = (message) => {
    process.stderr.write(`bench:browser: ${message}\n`);
    process.exit(2);
  };
  const known = {
    case: { type: 'string' },
    against: { type: 'string' },
    scale: { type: 'string' },
    json: { type: 'boolean' },
    help: { type: 'boolean' },
  };
  try {
    const { values } = parseArgs({ args: process.argv.slice(2), options: known });
    const scale = values.scale === undefined ? undefined : Number(values.scale);
    if (scale !== undefined && !(Number.isInteger(scale) && scale >= 1))
      usage(`--scale ${values.scale}: expected an integer >= 1`);
    const { against } = values;
    if (against !== undefined) {
      if (!existsSync(join(against, 'kernels/index.ts')))
        usage(`--against ${against}: expected a checkout with kernels/index.ts; run \`npm run kernels\` there`);
      return { ...values, count: 0, step: true };
    }
    const count = benchCases.filter(({ name }) => name.includes(values.case ?? '')).length;
    const step = 'step'.includes(values.case ?? '');
    if (count === 0 && !step)
      usage(`--case ${values.case}: unknown; there is step, ${benchCases.map(({ name }) => name).join(', ')}`);
    return { ...values, scale, count, step };
  } catch (error) {
    return usage(error.message);
  }
}

const { case: filter, scale, json, help, count, step, against } = options();
if (help) {
  process.stdout.write(`${HELP}\n`);
  process.exit(0);
}

/** How often the checkouts take turns. */
const TURNS = 3;

const servers = [];
/** Serves the sources of a checkout; resolves to where its page is. */
async function serve(folder, name) {
  const server = await createServer({
    root: folder,
    configFile: false,
    logLevel: 'error',
    cacheDir: join(root, `node_modules/.cache/attune/${name}`),
    server: { host: 'localhost', port: 0, watch: null, hmr: false },
    // `webgpu` is the native binding for Node; Chrome has navigator.gpu.
    optimizeDeps: { entries: ['bench/browser/index.html'], include: ['tinybench'], exclude: ['webgpu'] },
  });
  servers.push(server);
  await server.listen();
  return `http://localhost:${server.httpServer.address().port}/bench/browser/`;
}

let browser;
const bar = createProgress({ total: count + (step ? 1 : 0) });
try {
  const address = await serve(root, 'vite');
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
  let done = 0;
  const page = await open(address);
  await page.exposeFunction('benchCaseDone', (name) => bar.update(++done, { phase: name }));
  const inPage =
    count === 0
      ? null
      : await page.evaluate((asked) => globalThis.benchInBrowser(asked, globalThis.benchCaseDone), { filter, scale });
  const steps = against ? await benchTurns(address) : step ? await benchSteps(page) : null;
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
    if (steps) process.stdout.write(`${against ? turnsText(steps) : stepText(steps)}\n`);
  }
} catch (error) {
  process.stderr.write(`bench:browser: ${error.message}\n`);
  process.exitCode = 3;
} finally {
  bar.stop();
  await browser?.close();
  for (const server of servers) await server.close();
}

/** The benchmark's page at this address. */
async function open(address) {
  const page = await browser.newPage();
  page.on('pageerror', (error) => process.stderr.write(`bench:browser: ${error.message}\n`));
  await page.goto(address);
  await page.waitForFunction('globalThis.benchInBrowser');
  return page;
}

/** The step of the other checkout and of this one, in turns; the fastest turn of each. */
async function benchTurns(address) {
  const addresses = { before: await serve(resolve(against), 'vite-against'), after: address };
  const fastest = {};
  for (let turn = 0; turn < TURNS; turn++) {
    for (const [name, at] of Object.entries(addresses)) {
      bar.update(0, { phase: `step ${name}, turn ${turn + 1} of ${TURNS}` });
      const page = await open(at);
      const result = await page.evaluate(() => globalThis.benchStepInBrowser());
      await page.close();
      if (!(fastest[name]?.millisecondsPerStep <= result.millisecondsPerStep)) fastest[name] = result;
    }
  }
  return { ...fastest, ratio: fastest.before.millisecondsPerStep / fastest.after.millisecondsPerStep };
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

function settingsLine({ d, blocks, window, budget }) {
  return `training step, sasrec d ${d}, ${blocks} blocks, window ${window}, batches of ${budget} tokens:`;
}

function stepRow(name, { device, millisecondsPerStep: ms, tokensPerSecond, ...first }) {
  // A build of before has no time of its own for compiling.
  const seconds = ((first.compileMilliseconds ?? 0) + first.firstStepMilliseconds) / 1000;
  return `  ${name.padEnd(9)} ${ms.toFixed(1).padStart(8)} ms a step, ${Math.round(tokensPerSecond)} tokens a second, first step ${seconds.toFixed(1)} s, on ${device}`;
}

function stepText({ chromium, node, ratio }) {
  return [
    settingsLine(chromium.settings),
    stepRow('Chromium', chromium),
    stepRow('Node', node),
    `  Chromium takes ${ratio.toFixed(2)} times as long as Node`,
  ].join('\n');
}

function turnsText({ before, after, ratio }) {
  return [
    settingsLine(after.settings),
    stepRow('before', before),
    stepRow('after', after),
    `  ${ratio.toFixed(2)} times as fast, the fastest of ${TURNS} turns each in Chromium ${browser.version()}`,
  ].join('\n');
}
