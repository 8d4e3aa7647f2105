/**
 * Damaged model files, by a seed: whatever is flipped, cut, lost or exchanged, loading says so in one line, or the answer is
 * the very same (the damage fell on what is not read). `npm run test:full` tries thirty times as many.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { InputError } from '../../data/errors.ts';
import { type Random, seeded } from '../../data/random.ts';
import { type Files, join, MemoryFiles } from '../../model/storage/files.ts';
import { loadCheckpoint } from '../../model/storage/checkpoint.ts';
import { copyModel, packModel } from '../../model/storage/pack.ts';
import { loadPredictions } from '../../model/ratings/folder.ts';
import { RatingPredictor, Recommender } from '../../recommend/node.ts';
import { NodeFiles } from '../../recommend/sources/files.node.ts';
import { FULL } from '../full.ts';
import { openDevice } from '../device.ts';
import { copyOf } from './folder.fixture.ts';

const TRIES = FULL ? 2400 : 80;
const folder = path.join(import.meta.dirname, '../fixtures/models');
const history = ['i1', 'i4', 'i7'];

const device = await openDevice({ backend: 'cpu' });

/** Everything that a model's files are read for. */
async function answer(source: Files | Uint8Array, ratings: boolean): Promise<string> {
  if (ratings) {
    const predictor = await RatingPredictor.load(source, { device });
    const { items } = await predictor.predict({ history: history.map((item, i) => ({ item, rating: i + 2 })) });
    predictor.close();
    const stored = await loadPredictions(source as Files);
    return JSON.stringify([items, Array.from(stored?.predictions.mean ?? [])], finite);
  }
  const recommender = await Recommender.load(source, { device });
  const query = { user: { segment: 'new' }, k: 10 };
  const { items } = await recommender.recommend({ history, ...query });
  const popular = await recommender.recommend({ history: [], ...query });
  recommender.close();
  const checkpoint = source instanceof Uint8Array ? null : await loadCheckpoint(source);
  return JSON.stringify([items, popular.items, checkpoint?.counters], finite);
}

function finite(key: string, value: unknown): unknown {
  if (typeof value === 'number' && !Number.isFinite(value)) throw new Error(`${key} is ${value}`);
  return value;
}

/** The outcome of a damaged model: the one line of its InputError, or the answer. Anything else fails the test. */
async function outcome(source: Files | Uint8Array, ratings: boolean, what: string): Promise<string> {
  try {
    return await answer(source, ratings);
  } catch (error) {
    expect(error, `${what}: ${(error as Error).stack}`).toBeInstanceOf(InputError);
    expect((error as Error).message, what).toMatch(/^[^\n]{1,600}$/);
    return 'refused';
  }
}

const KINDS = [
  'a bit flipped',
  'a byte replaced',
  'cut short',
  'a run of zeros',
  'bytes inserted',
  'bytes lost',
] as const;

function damaged(bytes: Uint8Array, kind: (typeof KINDS)[number], { below }: Random): Uint8Array {
  const out = bytes.slice();
  const at = below(bytes.length);
  const n = 1 + below(16);
  switch (kind) {
    case 'a bit flipped':
      out[at] ^= 1 << below(8);
      return out;
    case 'a byte replaced':
      out[at] = below(256);
      return out;
    case 'cut short':
      return out.slice(0, at);
    case 'a run of zeros':
      out.fill(0, at, at + n);
      return out;
    case 'bytes inserted':
      return join([out.subarray(0, at), Uint8Array.from({ length: n }, () => below(256)), out.subarray(at)]);
    case 'bytes lost':
      return join([out.subarray(0, at), out.subarray(at + n)]);
  }
}

/** Damages one file of a folder, or loses it, or exchanges it with another. */
async function damageFolder(files: MemoryFiles, random: Random): Promise<string> {
  const names = (await files.list()).filter((name) => !/metrics|README/.test(name));
  const name = names[random.below(names.length)];
  const bytes = (await files.read(name)) as Uint8Array;
  const kind = random.below(KINDS.length + 2);
  if (kind === KINDS.length) {
    await files.remove(name);
    return `${name} lost`;
  }
  if (kind > KINDS.length) {
    const other = names[random.below(names.length)];
    await files.write(name, (await files.read(other)) as Uint8Array);
    await files.write(other, bytes);
    return `${name} and ${other} exchanged`;
  }
  const changed = damaged(bytes, KINDS[kind], random);
  await files.write(name, changed);
  return `${name}: ${KINDS[kind]}`;
}

describe.each(['sequence', 'ranker', 'ratings'])('%s', (name) => {
  it('in a folder with a manifest: refused, or the same answer', async () => {
    const whole = new MemoryFiles('model');
    await copyModel(await NodeFiles.open(path.join(folder, name)), whole);
    const expected = await answer(whole, name === 'ratings');
    let refused = 0;
    for (let seed = 0; seed < TRIES; seed++) {
      const files = await copyOf(whole);
      const what = `seed ${seed}, ${await damageFolder(files, seeded(seed, 0))}`;
      const found = await outcome(files, name === 'ratings', what);
      if (found === 'refused') refused++;
      else expect(found, what).toBe(expected);
    }
    expect(refused).toBeGreaterThan(TRIES / 2);
  });

  it('in an older folder, which has no checksums: refused, or an answer of finite numbers', async () => {
    const whole = await NodeFiles.open(path.join(folder, name));
    let refused = 0;
    for (let seed = 0; seed < TRIES; seed++) {
      const files = await copyOf(whole);
      const what = `seed ${seed}, ${await damageFolder(files, seeded(seed, 0))}`;
      if ((await outcome(files, name === 'ratings', what)) === 'refused') refused++;
    }
    expect(refused).toBeGreaterThan(TRIES / 4);
  });
});

describe.each([
  ['made now', async () => join(await packModel(await NodeFiles.open(path.join(folder, 'ranker'))))],
  ['of an earlier version', async () => new Uint8Array(readFileSync(path.join(folder, 'packed.attune')))],
])('a packed model %s', (version, make) => {
  it('refused, or the same answer', async () => {
    const whole = await make();
    const expected = await answer(whole, false);
    let refused = 0;
    for (let seed = 0; seed < TRIES; seed++) {
      const random = seeded(seed, 0);
      const kind = KINDS[random.below(KINDS.length)];
      const what = `seed ${seed}, ${version}: ${kind}`;
      const found = await outcome(damaged(whole, kind, random), false, what);
      if (found === 'refused') refused++;
      else expect(found, what).toBe(expected);
    }
    expect(refused).toBeGreaterThan(TRIES / 2);
  });
});
