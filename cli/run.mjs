#!/usr/bin/env node
/**
 * What the npm scripts start: set-up, then the command in this same process, so that signals, standard streams and
 * exit codes are the command's own.
 *
 *   node cli/run.mjs demo [ARGS]      the built-in demo; without an adapter on the CPU device
 *   node cli/run.mjs attune ARGS      the command `attune`
 *   node cli/run.mjs test [ARGS]      vitest, in Node and in Chromium
 *   node cli/run.mjs bench:browser    the kernels' bench in Chromium
 */
import { fileURLToPath, pathToFileURL } from 'node:url';
import { setup } from './setup.mjs';

const path = (name) => fileURLToPath(new URL(`../${name}`, import.meta.url));
const [script, ...args] = process.argv.slice(2);

// npm passes on a Ctrl-C that the terminal has already sent to the whole process group: one key press arrives twice.
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
// Until (and unless) the command listens itself.
process.on('SIGINT', () => {
  if (process.listenerCount('SIGINT') === 1) process.exit(130);
});

const says = (...names) => names.some((name) => args.includes(name));
const onCpu = says('--device=cpu') || args.some((arg, i) => arg === '--device' && args[i + 1] === 'cpu');
const asks = says('--help', '-h', '--version', 'help', 'doctor') || args.length === 0;

let ready;
try {
  const need =
    script === 'test' || script === 'bench:browser'
      ? 'test'
      : (script === 'attune' && asks) || onCpu
        ? 'build'
        : 'start';
  ready = await setup(need);
} catch (error) {
  process.stderr.write(`attune: ${error.message}\n`);
  process.exit(script === 'test' ? 1 : 3);
}

if (script === 'test') {
  if (!ready.ok) process.exit(1);
  process.argv = [process.execPath, path('node_modules/vitest/vitest.mjs'), 'run', ...args];
} else if (script === 'bench:browser') {
  process.argv = [process.execPath, path('bench/browser/run.mjs'), ...args];
} else {
  if (script === 'demo') {
    args.unshift('demo');
    if (!ready.adapter && !args.some((arg) => arg.startsWith('--device'))) {
      process.stderr.write('attune: going on with --device cpu: a smaller shop, and it takes longer\n');
      args.push('--device', 'cpu');
    }
  }
  process.argv = [process.execPath, path('dist/cli/main.js'), ...args];
}
await import(pathToFileURL(process.argv[1]).href);
