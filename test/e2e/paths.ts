/** Shared by the end-to-end tests: the built command on WebGPU, tiny models, a log with something to learn. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Outcome } from '../cli/attune.ts';

export const root = fileURLToPath(new URL('../..', import.meta.url));

/** Brings dist/ up to date; takes no time if it is. */
export function build(): void {
  execFileSync(process.execPath, ['scripts/setup.mjs', '--need', 'build'], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

/** Settings of a model with a few thousand weights. */
export const TINY = ['d=16', 'ff=32', 'blocks=1', 'window=16', 'budget=256'].flatMap((setting) => ['--set', setting]);

/** Lines of standard error that are Attune's; Dawn writes warnings of its own about some drivers. */
export function said({ stderr }: Outcome): string[] {
  return stderr.split('\n').filter((line) => line !== '' && !/^Warning: max\w+ artificially reduced/.test(line));
}

/** A field of CSV. */
export const field = (text: string): string => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);

/** Users walk around a ring of items, each with one stride, so that the order determines the next item. */
export function ring(users: number, length: number, item = (row: number) => `i${row}`, size = 40): string {
  const rows = ['user,item,timestamp'];
  for (let u = 0; u < users; u++) {
    for (let t = 0; t < length; t++)
      rows.push(`u${u},${field(item((u * 7 + t * (1 + (u % 3))) % size))},${1000 * t + u}`);
  }
  return `${rows.join('\n')}\n`;
}

/** A safetensors file, parsed independently of the library: header and the tensors' bytes. */
export function safetensors(path: string): { metadata: Record<string, string>; tensors: Map<string, Buffer> } {
  const bytes = readFileSync(path);
  const end = 8 + Number(bytes.readBigUInt64LE());
  const header = JSON.parse(bytes.toString('utf8', 8, end));
  const tensors = new Map<string, Buffer>();
  for (const [name, entry] of Object.entries<{ data_offsets: [number, number] }>(header)) {
    if (name === '__metadata__') continue;
    const [from, to] = entry.data_offsets;
    tensors.set(name, bytes.subarray(end + from, end + to));
  }
  return { metadata: header.__metadata__, tensors };
}

/** Waits until the file has more than `count` lines. */
export async function linesIn(path: string, count: number, seconds = 30): Promise<void> {
  for (let waited = 0; waited < seconds * 100; waited++) {
    if (existsSync(path) && readFileSync(path, 'utf8').split('\n').length > count) return;
    await sleep(10);
  }
  throw new Error(`${path} has no ${count} lines after ${seconds} s`);
}
