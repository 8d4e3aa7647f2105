/** Exported models in ONNX Runtime, beside this project's own scores. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, describe, expect, it } from 'vitest';
import { InputError } from '../../data/errors.ts';
import { Device, normal } from '../../engine/index.ts';
import { onnxModel } from '../../interop/onnx/export.ts';
import { RankingModel } from '../../model/inference/ranking-model.ts';
import { recipes } from '../../model/recipes/recipes.ts';
import { loadModel } from '../../model/storage/load-model.ts';
import { openWorkplace, SHARED } from '../cli/attune.ts';
import { build } from '../e2e/paths.ts';
import { smallModel } from '../recommend/model.fixture.ts';
import { set } from '../set.ts';

const folder = mkdtempSync(join(tmpdir(), 'attune-onnx-'));
const device = await Device.open({ backend: 'cpu' });
afterAll(() => {
  device.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Some of one item, some longer than the window and what the transitions read; an item twice. */
const HISTORIES = [[3], [0, 59, 0, 7], Array.from({ length: 40 }, (_, i) => (i * 17) % 60), [5, 6, 7, 8, 9, 10, 11]];
const K = 10;

/** Rows of one length: −1 before shorter ones. */
function padded(rows: readonly (readonly number[])[]): Tensor {
  const width = Math.max(...rows.map(({ length }) => length));
  const values = rows.flatMap((row) => [...Array<number>(width - row.length).fill(-1), ...row]);
  return new Tensor('int64', BigInt64Array.from(values, BigInt), [rows.length, width]);
}

async function run(session: InferenceSession, histories: number[][], exclude: number[][]) {
  const k = new Tensor('int64', BigInt64Array.of(BigInt(K)), [1]);
  const out = await session.run({ items: padded(histories), exclude: padded(exclude), k });
  const row = (name: string, u: number) => {
    const { data, dims } = out[name];
    return Array.from(data as Float32Array | BigInt64Array, Number).slice(u * dims[1], (u + 1) * dims[1]);
  };
  return histories.map((_, u) => ({
    scores: row('scores', u),
    items: row('top_items', u),
    best: row('top_scores', u),
  }));
}

type Options = Parameters<typeof smallModel>[1];

const exported = async (options: Options) => {
  const files = await smallModel(device, options);
  const loaded = await loadModel(files);
  // Biases and norms start from 0 and 1: as they are, nothing would miss them.
  let stream = 100;
  for (const { data } of loaded.tensors.values()) {
    const noise = normal(data.length, stream++, 0, 0.2);
    for (let i = 0; i < data.length; i++) data[i] += noise[i];
  }
  const table = loaded.tensors.get('items.weight')?.data as Float32Array;
  return { loaded, bytes: Buffer.concat(onnxModel(loaded, table, 'test')) };
};

const CASES: [string, Options][] = [
  ['sasrec, blended', {}],
  ['sasrec alone', { memory: false }],
  ['two heads and blocks, cosine', { memory: false, set: set('heads=2 blocks=2 similarity=cosine') }],
  ['relu, sinusoids', { set: set('activation=relu positions=sinusoidal embedding=scaled') }],
  ['silu, without positions, rms', { set: set('activation=silu positions=none norm=rms') }],
  [
    'sasrec-bce',
    { recipe: 'sasrec-bce', memory: false, set: set('d=16 ff=16 blocks=2 loss=bce negatives=1 negativeGroup=1') },
  ],
  ['gsasrec', { recipe: 'gsasrec', set: set('loss=gbce') }],
  ['bert4rec', { recipe: 'bert4rec', memory: false, set: set('blocks=2') }],
  ['esasrec', { recipe: 'esasrec', set: set('blocks=2 loss=sampled-softmax') }],
];

describe('ONNX', () => {
  it.each(CASES)('has the scores and lists of %s', async (_, options) => {
    const { loaded, bytes } = await exported(options);
    const session = await InferenceSession.create(bytes);
    const own = await RankingModel.load(device, loaded);
    const scorer = own.scorer({ k: K, scoresFrom: 0 });
    // The first excludes nothing.
    const excluded = HISTORIES.map((history, u) => (u === 0 ? [] : history));
    const queries = HISTORIES.map((history, u) => ({
      history: Uint32Array.from(history),
      exclude: Uint32Array.from(excluded[u]),
    }));
    const expected = await scorer.score(queries);
    const got = await run(session, HISTORIES, excluded);
    for (const [u, { allScores, items, scores }] of expected.entries()) {
      const all = allScores as Float32Array;
      const largest = all.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      const off = got[u].scores.reduce((most, x, i) => Math.max(most, Math.abs(x - all[i])), 0);
      expect(off / largest).toBeLessThan(1e-5);
      expect(got[u].items).toEqual([...items]);
      expect(Math.abs(got[u].best[0] - scores[0]) / largest).toBeLessThan(1e-5);
    }
    // A batch gives each history what it has alone, whatever is padded.
    const [alone] = await run(session, [HISTORIES[1]], [excluded[1]]);
    expect(alone.items).toEqual(got[1].items);
    own.dispose();
  });

  it('has axes with names, and says which recipe it is', async () => {
    const { bytes } = await exported({});
    const { inputMetadata, outputMetadata } = await InferenceSession.create(bytes);
    const shapes = (list: readonly InferenceSession.ValueMetadata[]) =>
      list.map((one) => [one.name, ...(one.isTensor ? [one.type, ...one.shape] : [])]);
    expect(shapes(inputMetadata)).toEqual([
      ['items', 'int64', 'batch', 'history'],
      ['exclude', 'int64', 'batch', 'excluded'],
      ['k', 'int64', 1],
    ]);
    expect(shapes(outputMetadata)).toEqual([
      ['scores', 'float32', 'batch', 60],
      ['top_items', 'int64', 'batch', 'k'],
      ['top_scores', 'float32', 'batch', 'k'],
    ]);
  });

  it.each([
    ['hstu', 'block=hstu', { recipe: 'hstu', set: set('similarity=cosine loss=sampled-softmax') }],
    ['a recurrence', 'block=recurrent', { set: set('block=recurrent') }],
    ['encoder-decoder', 'decoder=2', { recipe: 'encoder-decoder', set: set('direction=bidirectional continuation=4') }],
    ['rotary positions', 'positions=rotary', { set: set('positions=rotary') }],
    ['a bias', 'bias=relative', { set: set('bias=relative') }],
    ['a mixture of logits', 'head=mol', { set: set('head=mol similarity=cosine loss=sampled-softmax') }],
  ] as [string, string, Options][])('refuses %s in one line', async (_, what, options) => {
    const error = await exported({ memory: false, ...options }).catch((e) => e);
    expect(error).toBeInstanceOf(InputError);
    expect(error.message).toMatch(new RegExp(`a model with ${what} cannot be written as ONNX$`));
  });

  it('is tried with every recipe', () => {
    const tried = ['sasrec', 'sasrec-bce', 'gsasrec', 'bert4rec', 'esasrec', 'hstu', 'encoder-decoder'];
    expect([...recipes.keys()].filter((name) => !tried.includes(name))).toEqual(['hstu-large']);
  });

  it('is written by the command', async () => {
    build();
    const place = openWorkplace(SHARED);
    const model = fileURLToPath(new URL('../fixtures/models/sequence', import.meta.url));
    const command = ['export', '--model', model, '--out', 'onnx', '--json'];
    const { code, stdout, stderr } = await place.run(command);
    // That model reads what is known of users.
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/a model that reads side features cannot be written as ONNX/);
    const files = await smallModel(device);
    for (const name of await files.list()) {
      writeFileSync(place.path(name), (await files.read(name)) as Uint8Array);
    }
    const { code: ended, stdout: report } = await place.run('export --model . --out onnx --json');
    expect([ended, JSON.parse(report)]).toMatchObject([0, { files: ['model.onnx', 'items.ids.json'], blended: true }]);
    const ids: string[] = JSON.parse(place.read('onnx/items.ids.json'));
    const session = await InferenceSession.create(readFileSync(place.path('onnx/model.onnx')));
    const [{ items }] = await run(session, [[3, 4]], [[3, 4]]);
    const listed = await place.run('recommend --model . --history i3,i4 --json');
    expect(items.map((row) => ids[row])).toEqual(JSON.parse(listed.stdout).items.map(({ id }: { id: string }) => id));
    expect((await place.run('export --model . --out onnx')).stderr).toMatch(
      /already holds items\.ids\.json, model\.onnx/,
    );
  });
});
