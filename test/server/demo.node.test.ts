/** `npm run serve`, as its script runs it: trains the demo shop, serves it, and prints requests that work. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { build } from '../e2e/paths.ts';

const script = fileURLToPath(new URL('../../scripts/run.mjs', import.meta.url));
const children: ChildProcess[] = [];
let folder: string;
let port: number;
/** Events that the first start put into the store. */
let filled: number;

beforeAll(async () => {
  build();
  folder = mkdtempSync(join(tmpdir(), 'attune-serve-demo-'));
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  port = (probe.address() as AddressInfo).port;
  probe.close();
});
afterAll(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true, force: true });
});

/** Starts it. `until` resolves with all output once it has a text. @throws Error where it ends before */
function serveDemo(...args: string[]) {
  const child = spawn(process.execPath, [script, 'serve', '--device', 'cpu', ...args], { cwd: folder });
  children.push(child);
  let said = '';
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const until = (text: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const look = (more = ''): void => {
        said += more;
        if (said.includes(text)) resolve(said);
      };
      child.stdout.setEncoding('utf8').on('data', look);
      child.stderr.setEncoding('utf8').on('data', look);
      void ended.then((code) => reject(new Error(`ended with ${code}: ${said}`)));
    });
  const interrupt = (): Promise<number | null> => {
    child.kill('SIGINT');
    return ended;
  };
  return { until, interrupt, ended };
}

test('Ctrl-C during the training ends it with 130', async () => {
  const { until, interrupt } = serveDemo('--port', `${port}`, '--minutes', '5');
  await until('Training a transformer');
  expect(await interrupt()).toBe(130);
  rmSync(join(folder, 'attune-demo'), { recursive: true, force: true });
});

test('trains, prints three requests that work as they are printed, and Ctrl-C ends it with 0', async () => {
  const { until, interrupt } = serveDemo('--port', `${port}`, '--minutes', '0.1');
  const said = await until('/docs what it can be asked');
  expect(said).toContain('invented shoppers');
  filled = Number(/([\d,]+) events are in the store/.exec(said)?.[1].replaceAll(',', ''));
  const lines = [...said.matchAll(/^ {2}(curl .*)$/gm)].map(([, line]) => line);
  expect(lines).toHaveLength(3);
  const [before, added, after] = lines.map((line) =>
    JSON.parse(execFileSync('sh', ['-c', line], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })),
  );
  expect(before.items).toHaveLength(3);
  expect(before.items[0].title).not.toMatch(/^SKU-/);
  expect(added).toEqual({ added: 1, duplicates: 0 });
  expect(after.items).toHaveLength(3);
  const [, bought] = /item\\":\\"([^\\]+)/.exec(lines[1]) as RegExpExecArray;
  expect(after.items.map(({ id }: { id: string }) => id)).not.toContain(bought);
  expect(await interrupt()).toBe(0);
});

test('takes the model and the store that are there; what was posted before is kept', async () => {
  const { until, interrupt } = serveDemo('--port', `${port}`);
  const said = await until('/docs what it can be asked');
  expect(said).not.toContain('invented shoppers');
  const answer = await fetch(`http://127.0.0.1:${port}/v1/status`);
  const { store } = (await answer.json()) as { store: { events: number } };
  expect(store.events).toBe(filled + 1);
  expect(await interrupt()).toBe(0);
});

test('other arguments are refused in one line', async () => {
  const { until, ended } = serveDemo('--store', 'x.db');
  await until("Unknown option '--store'");
  expect(await ended).toBe(2);
  expect(existsSync(join(folder, 'x.db'))).toBe(false);
});
