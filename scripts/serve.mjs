/**
 * `npm run serve`: the demo shop over HTTP. It is trained into ./attune-demo unless it is there, its purchases go into the
 * store of the server, and three requests to try are printed once the server is ready.
 */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const MODEL = 'attune-demo';
const LOG = `${MODEL}/purchases.csv`;

/** @throws Error for arguments that it does not have */
function readArguments(args) {
  const text = { type: 'string' };
  const { values } = parseArgs({ args, options: { port: { ...text, default: '8080' }, minutes: text, device: text } });
  if (!/^\d{1,5}$/.test(values.port) || Number(values.port) < 1)
    throw new Error(`--port ${values.port}: expected an integer from 1 to 65535`);
  return values;
}

/** In a process of its own. Resolves with its exit code; Ctrl-C is passed on, and what was learned is saved. */
function train({ minutes, device }) {
  const run = fileURLToPath(new URL('run.mjs', import.meta.url));
  const args = [run, 'demo', ...(minutes ? ['--minutes', minutes] : []), ...(device ? ['--device', device] : [])];
  const child = spawn(process.execPath, args, { stdio: 'inherit' });
  const forward = (signal) => child.kill(signal);
  process.on('SIGINT', forward).on('SIGTERM', forward);
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      process.off('SIGINT', forward).off('SIGTERM', forward);
      resolve(code ?? 143);
    });
  });
}

/** Prints requests for the first shopper of the log and for a new one, when the server answers them. */
async function printRequests(port) {
  const url = `http://127.0.0.1:${port}`;
  const [, user, item] = /\n([^,]+),([^,]+),/.exec(readFileSync(LOG, 'utf8'));
  while (!(await fetch(`${url}/readyz`).catch(() => null))?.ok) await sleep(100, null, { ref: false });
  if (process.exitCode) return; // another server has the port
  // Quoted so that sh, cmd.exe and PowerShell 7 read the same.
  const event = JSON.stringify({ user: 'you', item }).replaceAll('"', '\\"');
  process.stdout.write(`
Try it, in another terminal: what a shopper may want next; a purchase of your own; what you may want after it.

  curl "${url}/v1/users/${user}/recommendations?k=3"
  curl -H "content-type: application/json" -d "${event}" ${url}/v1/events
  curl "${url}/v1/users/you/recommendations?k=3"

${url}/ shows what the server does, ${url}/docs what it can be asked.
`);
}

/**
 * @param {string[]} args
 * @param {boolean} adapter whether there is one
 * @returns {Promise<string[]>} the arguments of the command that is to be run now
 */
export async function prepareServe(args, adapter) {
  let options;
  try {
    options = readArguments(args);
  } catch (error) {
    process.stderr.write(`attune: serve: ${error.message}\n`);
    process.exit(2);
  }
  if (!adapter) options.device ??= 'cpu';
  if (!existsSync(`${MODEL}/manifest.json`) || !existsSync(LOG)) {
    const code = await train(options);
    if (code !== 0) process.exit(code);
  }
  void printRequests(options.port);
  const { port, device = 'auto' } = options;
  const files = ['--model', MODEL, '--data', LOG, '--items', `${MODEL}/goods.csv`];
  return ['serve', ...files, '--port', port, '--device', device, '--log', 'warn'];
}
