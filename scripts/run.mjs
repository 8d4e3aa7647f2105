#!/usr/bin/env node
/**
 * The entry point of the npm scripts: set-up, then the command in the same process, so that signals, standard streams, and
 * exit codes are the command's own.
 *
 *   node scripts/run.mjs demo [ARGS]      the built-in demo; on the CPU device if there is no adapter
 *   node scripts/run.mjs serve [--port P] [--minutes M] [--device D]   the demo shop over HTTP, trained first if need be
 *   node scripts/run.mjs attune ARGS      the command `attune`
 *   node scripts/run.mjs test [ARGS]      vitest, in Node and in Chromium, with a seeded sample of the largest products
 *   node scripts/run.mjs test:full [ARGS] the same with every product of flags and every kernel variant
 *   node scripts/run.mjs coverage [ARGS]  the tests of the library in Node, and which lines of it they run
 *   node scripts/run.mjs fuzz [--runs N] [--seed S]   random graphs of ops, WebGPU against the references
 *   node scripts/run.mjs bench:browser    the kernels' bench in Chromium
 */
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { prepareServe } from './serve.mjs';
import { setup } from './setup.mjs';

/** The tests that run the library in their own process; kernels are no TypeScript, and take long. */
const COVERED = ['data', 'model', 'recommend', 'train'];

const path = (name) => fileURLToPath(new URL(`../${name}`, import.meta.url));
const [script, ...args] = process.argv.slice(2);
const tests = ['test', 'test:full', 'coverage'].includes(script);
if (script === 'coverage')
  args.unshift('--coverage', '--project', 'node', ...COVERED.map((folder) => `test/${folder}/`));

/** Sets the fuzzer's environment variables; exits with 2 for unknown arguments. */
function readFuzzArguments() {
  try {
    const options = { runs: { type: 'string', default: '1000' }, seed: { type: 'string', default: '1' } };
    const { values } = parseArgs({ args, options });
    for (const [name, value] of Object.entries(values)) {
      if (!/^\d{1,9}$/.test(value) || (name === 'runs' && Number(value) < 1))
        throw new Error(`--${name} ${value}: expected an integer >= ${name === 'runs' ? 1 : 0}`);
    }
    process.env.ATTUNE_FUZZ_RUNS = values.runs;
    process.env.ATTUNE_FUZZ_SEED = values.seed;
  } catch (error) {
    process.stderr.write(`attune: fuzz: ${error.message}\n`);
    process.exit(2);
  }
}
if (script === 'fuzz') readFuzzArguments();
if (script === 'test:full') process.env.ATTUNE_FULL = '1';

// npm forwards a Ctrl-C that the terminal has already sent to the whole process group: one key press arrives twice.
const emit = process.emit;
let lastInterrupt = 0;
process.emit = function (name, ...rest) {
  if (name === 'SIGINT') {
    const now = Date.now();
    if (now - lastInterrupt < 300) return true;
    lastInterrupt = now;
  }
  return Reflect.apply(emit, this, [name, ...rest]);
};
// Until the command adds a listener of its own.
process.on('SIGINT', () => {
  if (process.listenerCount('SIGINT') === 1) process.exit(130);
});

const has = (...names) => names.some((name) => args.includes(name));
const onCpu = has('--device=cpu') || args.some((arg, i) => arg === '--device' && args[i + 1] === 'cpu');
const readsOnly = has('--help', '-h', '--version', 'help', 'doctor') || args.length === 0;

let ready;
try {
  const need =
    tests || script === 'bench:browser' ? 'test' : (script === 'attune' && readsOnly) || onCpu ? 'build' : 'start';
  ready = await setup(need);
} catch (error) {
  process.stderr.write(`attune: ${error.message}\n`);
  process.exit(tests ? 1 : 3);
}

if (tests) {
  if (!ready.ok) process.exit(1);
  process.argv = [process.execPath, path('node_modules/vitest/vitest.mjs'), 'run', ...args];
} else if (script === 'fuzz') {
  const vitest = path('node_modules/vitest/vitest.mjs');
  process.argv = [process.execPath, vitest, 'run', '--project', 'node', 'test/kernels/fuzz/fuzz.node.test.ts'];
} else if (script === 'bench:browser') {
  process.argv = [process.execPath, path('bench/browser/run.mjs'), ...args];
} else {
  if (script === 'demo') {
    args.unshift('demo');
    if (!ready.adapter && !args.some((arg) => arg.startsWith('--device'))) {
      process.stderr.write('attune: continuing with --device cpu: a smaller shop, and slower\n');
      args.push('--device', 'cpu');
    }
  }
  const command = script === 'serve' ? await prepareServe(args, ready.adapter !== null) : args;
  process.argv = [process.execPath, path('dist/cli/main.js'), ...command];
}
await import(pathToFileURL(process.argv[1]).href);
