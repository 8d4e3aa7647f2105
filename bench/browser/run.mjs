#!/usr/bin/env node
/**
 * `npm run bench:browser [-- --case NAME --scale N --json]`: the kernel cases of `npm run bench` in Chromium, served
 * from the sources by Vite. Needs dist/ (for the table), Chromium and the development packages.
 */
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright';
import { createServer } from 'vite';
import { findChromium } from '../../cli/system.mjs';
import { createProgress } from '../../dist/cli/ui.js';
import { benchCases } from '../../dist/bench/cases.js';
import { kernelsTable } from '../../dist/bench/table.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const HELP = `Usage: npm run bench:browser [-- options]

The kernel cases of npm run bench, in Chromium, against the CPU reference there.

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
      usage(`--scale ${values.scale}: a whole number`);
    const count = benchCases.filter(({ name }) => name.includes(values.case ?? '')).length;
    if (count === 0) usage(`--case ${values.case}: unknown; there is ${benchCases.map(({ name }) => name).join(', ')}`);
    return { ...values, scale, count };
  } catch (error) {
    return usage(error.message);
  }
}

const { case: filter, scale, json, help, count } = options();
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
const bar = createProgress({ total: count });
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
  const result = await page.evaluate((asked) => globalThis.benchInBrowser(asked, globalThis.benchCaseDone), {
    filter,
    scale,
  });
  bar.stop();
  if (json) {
    const { rows: kernels, ...rest } = result;
    process.stdout.write(`${JSON.stringify({ ...rest, kernels })}\n`);
  } else {
    const scaled = result.scale === 1 ? '' : `, rows of each case divided by ${result.scale}`;
    process.stdout.write(`kernels on ${result.device} in Chromium ${browser.version()}${scaled}\n`);
    process.stdout.write(`${kernelsTable(result)}\n`);
  }
} catch (error) {
  process.stderr.write(`bench:browser: ${error.message}\n`);
  process.exitCode = 3;
} finally {
  bar.stop();
  await browser?.close();
  await server.close();
}
