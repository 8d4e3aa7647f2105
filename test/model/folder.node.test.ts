import { type ChildProcess, execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { build } from 'vite';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { InputError } from '../../data/errors.ts';
import { modelCard, writeModelCard } from '../../model/storage/card.ts';
import { MemoryFiles } from '../../model/storage/files.ts';
import { loadCheckpoint, saveCheckpoint, saveModel } from '../../model/storage/checkpoint.ts';
import { appendMetrics, createFolder, readMetrics, trimMetrics } from '../../model/storage/folder.ts';
import { loadModel } from '../../model/storage/load-model.ts';
import { NodeFiles } from '../../recommend/sources/files.node.ts';
import { LOCK_NAME, lockFolder } from '../../recommend/sources/lock.node.ts';
import { commit, fileName, Snapshot } from '../../model/storage/manifest.ts';
import { checkpointOf, configOf, itemsOf, modelIn, standing } from './folder.fixture.ts';
import { partPath } from './parts.ts';

const root = mkdtempSync(path.join(os.tmpdir(), 'attune-folder-'));
const writer = path.join(root, 'built', 'writer.mjs');
let made = 0;
const fresh = () => path.join(root, `model ${made++}`);

beforeAll(async () => {
  const entry = path.join(import.meta.dirname, 'writer.ts');
  await build({
    configFile: false,
    logLevel: 'error',
    build: { ssr: entry, outDir: path.dirname(writer), rollupOptions: { output: { entryFileNames: 'writer.mjs' } } },
  });
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

describe.each([
  ['memory', async () => new MemoryFiles('memory')],
  ['disk', async () => NodeFiles.create(fresh())],
] as const)('a model folder in %s', (_, make) => {
  test('gives back what was saved', async () => {
    const files = await modelIn(await make());
    const { config, items, tensors, weights } = await loadModel(files);
    expect(config).toEqual(configOf(4));
    expect(items).toEqual(itemsOf(4));
    expect(Object.keys(items[0].attributes)).toEqual(['__proto__', 'genre']);
    expect(tensors).toEqual(checkpointOf(4).params);
    expect(weights).toEqual({ from: 'model', ...standing, note: null });
    expect(await loadCheckpoint(files)).toEqual(checkpointOf(5));
  });

  test('before the first validation loads the checkpoint, and says so', async () => {
    const { tensors, weights } = await loadModel(await modelIn(await make(), false));
    expect(tensors).toEqual(checkpointOf(5).params);
    expect(weights).toMatchObject({ from: 'checkpoint', step: 5, metrics: null });
    expect(weights.note).toMatch(/not validated yet.*step 5/);
  });

  test('without weights, or without anything, is one clear line', async () => {
    const files = await make();
    await expect(loadModel(files)).rejects.toThrow(/not a model folder \(there is no config.json/);
    expect(await loadCheckpoint(files)).toBeNull();
    await createFolder(files, configOf(4), itemsOf(4));
    await expect(loadModel(files)).rejects.toThrow(/no weights yet/);
  });

  test('a model that is there is refused, and replaced when asked', async () => {
    const files = await modelIn(await make());
    await expect(createFolder(files, configOf(4), itemsOf(4))).rejects.toThrow(/`resume`.*`overwrite`/);
    await createFolder(files, configOf(3), itemsOf(3), { overwrite: true });
    const { generation } = await Snapshot.open(files);
    expect(await files.list()).toEqual([
      fileName('config.json', generation),
      fileName('items.json', generation),
      'manifest.json',
    ]);
    await createFolder(files, configOf(4), itemsOf(4)); // no weights yet: nothing to lose
  });

  test("another's files are left alone", async () => {
    const files = await make();
    await files.write('README.md', 'mine');
    await expect(createFolder(files, configOf(4), itemsOf(4), { overwrite: true })).rejects.toThrow(
      /README.md that Att/,
    );
    expect(new TextDecoder().decode((await files.read('README.md')) ?? undefined)).toBe('mine');
  });

  test('a truncated or damaged file is one line that names it', async () => {
    for (const part of ['config.json', 'items.json', 'model.safetensors', 'checkpoint.safetensors'] as const) {
      for (const share of [0, 0.5, 0.98]) {
        const files = await modelIn(await make());
        const name = path.basename((await Snapshot.open(files)).pathOf(part));
        const bytes = (await files.read(name)) as Uint8Array;
        await files.write(name, bytes.slice(0, Math.floor(bytes.length * share)));
        const load = part.startsWith('checkpoint') ? loadCheckpoint(files) : loadModel(files);
        const error = (await load.then(
          () => null,
          (e: unknown) => e,
        )) as Error;
        expect(error, `${name} cut to ${share}`).toBeInstanceOf(InputError);
        expect(error.message).toContain(`${files.where}/${name}: `);
        expect(error.message).not.toContain('\n');
      }
    }
  });

  test('files of another model or a newer version are noticed', async () => {
    const files = await modelIn(await make());
    await saveModel(files, checkpointOf(4, 9).params, standing);
    await expect(loadModel(files)).rejects.toThrow(/weights have 9 items, items.json has 4/);
    await commit(files, { 'config.json': JSON.stringify({ ...configOf(4), formatVersion: 2 }) });
    await expect(loadModel(files)).rejects.toThrow(/update Attune/);
  });

  test('a metric that is not a number is never saved', async () => {
    const files = await modelIn(await make());
    const bad = { ...standing, metrics: { 'NDCG@10': Number.NaN } };
    await expect(saveModel(files, checkpointOf(9).params, bad)).rejects.toThrow('NDCG@10 is NaN');
    expect((await loadModel(files)).weights.step).toBe(4);
  });

  test('metrics: a torn last line is cut, and lines after the checkpoint are dropped', async () => {
    const files = await make();
    expect(await readMetrics(files)).toEqual([]);
    await appendMetrics(files, { step: 1 });
    const bytes = (await files.read('metrics.jsonl')) as Uint8Array;
    await files.write('metrics.jsonl', `${new TextDecoder().decode(bytes)}{"step":2,"NDC`);
    expect(await readMetrics(files)).toEqual([{ step: 1 }]);
    for (const step of [2, 3]) await appendMetrics(files, { step });
    await trimMetrics(files, 2);
    expect(await readMetrics(files)).toEqual([{ step: 1 }, { step: 2 }]);
  });

  test('names with a path in them are refused', async () => {
    const files = await make();
    await expect(files.write('../x', '')).rejects.toThrow('plain file name');
  });
});

test('model card: data, recipe, metrics, date; user text cannot break the table', async () => {
  const files = new MemoryFiles();
  const metrics = { 'NDCG@10': 0.1234, 'HR@10': 0.2, MRR: 0.1 };
  const result = {
    date: new Date('2025-03-04'),
    step: 1200,
    epoch: 3,
    elapsedSeconds: 61,
    split: 'valid',
    seen: 'excluded',
    users: 3,
    metrics,
    baselines: { popularity: { 'NDCG@10': 0.018 } },
  } as const;
  await writeModelCard(files, configOf(4), result);
  const card = new TextDecoder().decode((await files.read('README.md')) ?? undefined);
  expect(card).toContain('| source | ratings \\| "x".csv |');
  expect(card).toContain('2025-03-04');
  expect(card).toContain('| this model | 0.1234 | 0.2000 | 0.1000 | – |');
  expect(card).toContain('| popularity | 0.0180 |');
  expect(card).toContain('| dropout | 0.2 |');
  expect(modelCard(configOf(4), { ...result, metrics: null })).toContain('No validation has run yet');
});

describe('a write is whole or has not happened', () => {
  class FailingFiles extends NodeFiles {
    left = Infinity;
    protected override async store(handle: FileHandle, bytes: Uint8Array): Promise<void> {
      await super.store(handle, bytes.subarray(0, this.left));
      if (bytes.length > this.left) throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
      this.left -= bytes.length;
    }
  }

  test('a write that fails half-way leaves the old checkpoint and no rubbish', async () => {
    const files = new FailingFiles((await NodeFiles.create(fresh())).where);
    await modelIn(files);
    await appendMetrics(files, { step: 1 });
    for (const left of [0, 100, 500]) {
      files.left = left;
      await expect(saveCheckpoint(files, checkpointOf(6))).rejects.toThrow(
        /^[^\n]*checkpoint[^\n]*disk is full[^\n]*$/,
      );
    }
    files.left = 4;
    await expect(appendMetrics(files, { step: 2 })).rejects.toThrow('disk is full');
    expect((await loadCheckpoint(files))?.counters.step).toBe(5);
    expect(readFileSync(path.join(files.where, 'metrics.jsonl'), 'utf8')).toBe('{"step":1}\n');
    expect(readdirSync(files.where).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });

  test('a full disk (a small tmpfs, where mounting is allowed)', async (context) => {
    const dir = fresh();
    mkdirSync(dir);
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=128k', 'tmpfs', dir]).status !== 0) {
      context.skip('mounting a tmpfs needs root');
    }
    try {
      const files = await modelIn(await NodeFiles.open(dir));
      await expect(saveCheckpoint(files, checkpointOf(6, 4, 8192))).rejects.toThrow(/disk is full.*intact/);
      expect((await loadCheckpoint(files))?.counters.step).toBe(5);
      expect((await loadModel(files)).weights.step).toBe(4);
      await saveCheckpoint(files, checkpointOf(6));
      expect((await loadCheckpoint(files))?.counters.step).toBe(6);
    } finally {
      execFileSync('umount', [dir]);
    }
  });

  test('kill -9 at any moment leaves a folder that loads', async () => {
    const dir = fresh();
    const files = await NodeFiles.create(dir);
    let rubbish = 0;
    let loaded = 0;
    for (let round = 0; round < 12; round++) {
      const child = spawn(process.execPath, [writer, dir], { stdio: ['ignore', 'pipe', 'inherit'] });
      let step = 0;
      child.stdout.on('data', (text: Buffer) => {
        step = Number(text.toString().trim().split('\n').at(-1));
      });
      await once(child.stdout, 'data');
      await new Promise((resolve) => setTimeout(resolve, 20 + round * 7));
      child.kill('SIGKILL');
      await once(child, 'close');
      rubbish += readdirSync(dir).filter((name) => name.endsWith('.tmp')).length;

      const checkpoint = await loadCheckpoint(files);
      const counters = checkpoint?.counters;
      expect(counters?.step).toBeGreaterThanOrEqual(step);
      for (const group of [checkpoint?.params, checkpoint?.m, checkpoint?.v]) {
        expect(new Set(group?.get('items.weight')?.data)).toEqual(new Set([counters?.step]));
      }
      const { tensors, weights } = await loadModel(files);
      expect(new Set(tensors.get('items.weight')?.data)).toEqual(new Set([weights.step]));
      for (const line of await readMetrics(files)) expect(line.step).toBeLessThanOrEqual(counters?.step ?? 0);
      expect((await files.list()).filter((name) => name.endsWith('.tmp'))).toEqual([]);
      loaded++;
    }
    expect(loaded).toBe(12);
    expect(rubbish, 'no kill hit a write: the test proves nothing').toBeGreaterThan(0);
    await (await lockFolder(dir)).release();
    expect(readdirSync(dir).filter((name) => name.endsWith('.tmp'))).toEqual([]);
  });
});

describe('lock', () => {
  async function holder(dir: string): Promise<ChildProcess> {
    const child = spawn(process.execPath, [writer, dir, 'hold'], { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(child.stdout, 'data');
    return child;
  }

  test('keeps a second training out until the first is gone, however it went', async () => {
    const dir = fresh();
    const child = await holder(dir);
    await expect(lockFolder(dir)).rejects.toThrow(new RegExp(`another training \\(process ${child.pid} on`));
    child.kill('SIGKILL');
    await once(child, 'close');
    expect(existsSync(path.join(dir, LOCK_NAME))).toBe(true);
    const lock = await lockFolder(dir);
    await expect(lockFolder(dir)).rejects.toThrow(InputError);
    await lock.release();
    expect(readdirSync(dir)).toEqual([]);
    await (await lockFolder(dir)).release();
  });

  test('a lock of an earlier process with a number that lives again is stale', async (context) => {
    if (process.platform !== 'linux') context.skip('birth of a process is known on Linux only');
    const { where: dir } = await NodeFiles.create(fresh());
    const owner = { pid: process.pid, host: os.hostname(), born: 'earlier:1', since: '2025' };
    writeFileSync(path.join(dir, LOCK_NAME), JSON.stringify(owner));
    await (await lockFolder(dir)).release();
  });

  test("another host's lock is respected", async () => {
    const { where: dir } = await NodeFiles.create(fresh());
    writeFileSync(path.join(dir, LOCK_NAME), JSON.stringify({ pid: 1, host: 'elsewhere', born: '', since: '2025' }));
    await expect(lockFolder(dir)).rejects.toThrow(/on elsewhere.*delete/);
  });

  test('of many at once exactly one wins, over a stale lock too', async () => {
    const { where: dir } = await NodeFiles.create(fresh());
    const gone = spawnSync(process.execPath, ['-e', '']).pid;
    writeFileSync(
      path.join(dir, LOCK_NAME),
      JSON.stringify({ pid: gone, host: os.hostname(), born: '', since: '2025' }),
    );
    const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => lockFolder(dir)));
    const winners = outcomes.filter((outcome) => outcome.status === 'fulfilled');
    expect(winners.length).toBe(1);
    for (const { value } of winners) await value.release();
    expect(readdirSync(dir)).toEqual([]);
  });
});

describe('NodeFiles', () => {
  test('leftover temporary files are not listed, and go when the folder is locked', async () => {
    const files = await NodeFiles.create(fresh());
    writeFileSync(path.join(files.where, '.checkpoint.safetensors.123-0.tmp'), 'half');
    writeFileSync(path.join(files.where, '.notes.tmp'), "the user's own");
    expect(await files.list()).toEqual(['.notes.tmp']);
    await (await lockFolder(files.where)).release();
    expect(readdirSync(files.where)).toEqual(['.notes.tmp']);
  });

  test('a missing folder, a file in its place, a folder in place of a file', async () => {
    const dir = fresh();
    await expect(NodeFiles.open(dir)).rejects.toThrow('no such folder');
    writeFileSync(dir, '');
    await expect(NodeFiles.open(dir)).rejects.toThrow('a model is a folder');
    await expect(NodeFiles.create(path.join(dir, 'below'))).rejects.toThrow(InputError);
    const files = await NodeFiles.create(fresh());
    mkdirSync(path.join(files.where, 'config.json'));
    await expect(loadModel(files)).rejects.toThrow('is a folder where a file is needed');
  });

  test('a torn line longer than a block is cut off', async () => {
    const files = await NodeFiles.create(fresh());
    await files.append('metrics.jsonl', `first\n${'x'.repeat(10_000)}\n`);
    truncateSync(path.join(files.where, 'metrics.jsonl'), 9_000);
    await files.append('metrics.jsonl', 'second\n');
    expect(readFileSync(path.join(files.where, 'metrics.jsonl'), 'utf8')).toBe('first\nsecond\n');
  });
});

test('the file is standard safetensors: python reads it by the format alone', async (context) => {
  if (spawnSync('python3', ['--version']).status !== 0) context.skip('needs python3');
  const files = await modelIn(await NodeFiles.create(fresh()));
  const script = `
import json, struct, sys
b = open(sys.argv[1], 'rb').read()
n, = struct.unpack('<Q', b[:8])
h = json.loads(b[8:8+n])
out = {'aligned': (8+n) % 8 == 0, 'meta': json.loads(h.pop('__metadata__')['counters'])['step']}
for name, t in h.items():
    s, e = t['data_offsets']
    out[name] = [t['dtype'], t['shape'], sorted(set(struct.unpack('<%df' % ((e-s)//4), b[8+n+s:8+n+e])))]
print(json.dumps(out))`;
  const out = execFileSync('python3', [
    '-c',
    script,
    partPath(path.join(files.where, 'checkpoint.safetensors')),
  ]).toString();
  const table = ['F32', [4, 8], [5]];
  expect(JSON.parse(out)).toEqual({
    aligned: true,
    meta: 5,
    'p/items.weight': table,
    'm/items.weight': table,
    'v/items.weight': table,
  });
});
