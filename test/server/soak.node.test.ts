/** A hundred thousand requests of all kinds with models swapped meanwhile: no error, and memory that stays where it was. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const SOAK = fileURLToPath(new URL('../../bench/serve/soak.mjs', import.meta.url));

it.skipIf(!process.env.ATTUNE_FULL)('memory is flat under mixed load, and no request fails', async () => {
  const child = spawn(process.execPath, [SOAK, '--requests', '100000', '--json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [out, said] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text) => (out += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (said += text));
  await once(child, 'close');
  const report = JSON.parse(out || `{"error":${JSON.stringify(said)}}`);
  expect(report).toMatchObject({ requests: 100_000, errors: [], exitCode: 0, swaps: 19 });
  for (const [name, { before, after, grew }] of Object.entries<{ before: number; after: number; grew: boolean }>(
    report.memory,
  ))
    expect(grew, `${name}: ${before} bytes, then ${after}`).toBe(false);
});
