/** items=codes: where codes come from, the gradient of the parts, trainings, and what is stored (RecJPQ). */
import { describe, expect, it } from 'vitest';
import { seeded } from '../../data/random.ts';
import { CODES, CodedRows, CodedTable, type Device, widenCodes } from '../../engine/index.ts';
import { SequenceModel, toArrays } from '../../model/encoders/sequence-model.ts';
import { loadCheckpoint } from '../../model/storage/checkpoint.ts';
import { CodedTensor } from '../../model/storage/coded-tensor.ts';
import { MemoryFiles } from '../../model/storage/files.ts';
import { loadModel } from '../../model/storage/load-model.ts';
import { packModel } from '../../model/storage/pack.ts';
import { decode, encode, type StoredTensor } from '../../model/storage/safetensors.ts';
import { openModel, Recommender } from '../../recommend/index.ts';
import { logOf, resumePlan, runPlan, trainModel, updateModel } from '../../train/index.ts';
import { findCodes } from '../../train/item-codes.ts';
import { openDevice } from '../device.ts';
import { set } from '../set.ts';
import { expectSameCheckpoint, ring, small, splitOf } from './small.ts';

const pause = async (): Promise<void> => {};
const cpu = await openDevice({ backend: 'cpu' });
const gpu = await openDevice({ backend: 'webgpu' });
const WIDE = 'd=16 itemCodes=4 items=codes';

/** Users of two kinds, one of them rare, each of whom has items of one half of the catalog alone. */
function halves(users: number, items: number) {
  const { below } = seeded(1, users);
  const half = (u: number): number => (u % 4 === 0 ? 1 : 0);
  return splitOf(
    Array.from({ length: users }, (_, u) => Array.from({ length: 20 }, () => 2 * below(items / 2) + half(u))),
    items,
  );
}

describe('codes', () => {
  it('are the same for one seed, and cut each axis into equal parts', async () => {
    const split = halves(400, 1024);
    const [a, b, other] = [
      await findCodes(split, 8, 1, pause),
      await findCodes(split, 8, 1, pause),
      await findCodes(split, 8, 2, pause),
    ];
    expect(a).toEqual(b);
    expect(other.codes).not.toEqual(a.codes);
    const { items } = split;
    for (let m = 0; m < 8; m++) {
      const counts = new Uint32Array(CODES);
      for (let v = 0; v < items; v++) counts[a.codes[8 * v + m]]++;
      for (const count of counts) expect(Math.abs(count - items / CODES)).toBeLessThan(1);
    }
  });

  it('bring items together that the same users had', async () => {
    const split = halves(400, 1024);
    const { codes } = await findCodes(split, 4, 1, pause);
    // Of the axis of the larger half, its items lie on one side.
    const ids = split.dataset.itemIds.map((id) => Number(id.slice(1)));
    const apart = [0, 1, 2, 3].map((m) => {
      const [sums, counts] = [
        [0, 0],
        [0, 0],
      ];
      for (const [v, id] of ids.entries()) {
        sums[id % 2] += codes[4 * v + m];
        counts[id % 2]++;
      }
      return Math.abs(sums[0] / counts[0] - sums[1] / counts[1]);
    });
    expect(Math.max(...apart)).toBeGreaterThan(100);
    // A catalog of fewer items than codes has items with codes of their own, events or not.
    const few = await findCodes(ring(), 4, 1, pause);
    for (let m = 0; m < 4; m++) expect(new Set(few.codes.filter((_, i) => i % 4 === m)).size).toBe(12);
  });
});

describe.each([
  ['cpu', cpu],
  ['webgpu', gpu],
] as const)('rows of a step on %s', (_, device: Device) => {
  it('are those of their codes, and the gradient reaches the parts', async () => {
    const [each, width, V] = [4, 4, 90];
    const host = { codes: Uint8Array.from({ length: V * each }, (_, i) => (i * 37) % CODES), each };
    const values = Float32Array.from({ length: CODES * each * width }, (_, i) => Math.sin(i));
    const parts = device.tensor(values, [CODES * each, width]).keep();
    device.makeLeaf(parts, device.zeros(parts.shape).keep());
    const table = CodedTable.upload(device, host, parts, 'items');
    const touched = Uint32Array.of(80, 3, 41, 0, 77);
    const rows = new CodedRows(table, host, 7);
    rows.touch(touched);
    const weights = Float32Array.from({ length: 7 * 16 }, (_, i) => Math.cos(i));
    const read = device.scope(() => {
      const x = rows.read().keep();
      device.tape.backwardFrom(x, () => device.tensor(weights, [7, 16]));
      return x;
    });
    const wide = widenCodes(host, values);
    expect(await table.data()).toEqual(wide);
    const seen = (await read.data()) as Float32Array;
    const expected = new Float64Array(values.length);
    touched.forEach((row, i) => {
      expect(seen.slice(16 * i, 16 * i + 16)).toEqual(wide.slice(16 * row, 16 * row + 16));
      for (let c = 0; c < 16; c++) {
        const m = Math.floor(c / width);
        expected[(CODES * m + host.codes[row * each + m]) * width + (c % width)] += weights[16 * i + c];
      }
    });
    expect(seen.slice(16 * 5).every((x) => x === 0)).toBe(true);
    const gradient = (await parts.grad?.data()) as Float32Array;
    gradient.forEach((x, i) => expect(x).toBeCloseTo(expected[i], 5));
    const many = { codes: new Uint8Array(each * 2 ** 20), each };
    const large = CodedTable.upload(device, many, parts, 'items');
    expect(() => new CodedRows(large, many, 2 ** 20)).toThrow('a step reads 4194304 codes');
    for (const t of [read, rows, table, large]) t.dispose();
  });
});

const events = Array.from({ length: 40 * 15 }, (_, i) => ({
  user: `u${i % 40}`,
  item: `i${((i % 40) * 5 + Math.floor(i / 40)) % 12}`,
  time: i,
}));
const shared = { device: cpu, minInteractions: 1, includeSeen: true, recipe: 'sasrec' };
const SETTINGS = set(
  `${WIDE} ff=32 blocks=1 window=8 budget=128 learningRate=0.02 validateSteps=8 dropout=0 memory=off`,
);

describe('trainings', () => {
  it.each(['loss=softmax', 'loss=sampled-softmax negatives=8 negativeGroup=0', 'loss=softmax similarity=cosine'])(
    'with %s learn, and what is saved scores as the same numbers in f32',
    async (line) => {
      const trained = await trainModel(events, { ...shared, settings: { ...SETTINGS, ...set(line) }, epochs: 12 });
      expect(trained.metrics?.['NDCG@10']).toBeGreaterThan(0.6);
      const loaded = await loadModel(trained.files);
      const table = loaded.tensors.get('items.weight') as CodedTensor;
      expect(table).toBeInstanceOf(CodedTensor);
      expect([table.shape, table.parts.shape]).toEqual([
        [12, 16],
        [CODES * 4, 4],
      ]);
      const plain = new Map<string, StoredTensor>([
        ...loaded.tensors,
        ['items.weight', { shape: [12, 16], data: table.data }],
      ]);
      const settings = small(set(`${WIDE} similarity=${line.includes('cosine') ? 'cosine' : 'dot'}`));
      const [a, b] = [
        SequenceModel.load(gpu, settings, 12, loaded.tensors),
        SequenceModel.load(gpu, { ...settings, items: 'ids' }, 12, plain),
      ];
      const scores = async (model: SequenceModel) => {
        const states = gpu
          .tensor(
            Float32Array.from({ length: 32 }, (_, i) => Math.sin(i)),
            [2, 16],
          )
          .keep();
        const out = gpu.noGrad(() => gpu.scope(() => model.scores(states).keep()));
        const data = (await out.data()) as Float32Array;
        for (const t of [out, states]) t.dispose();
        return data;
      };
      const [x, y] = [await scores(a), await scores(b)];
      x.forEach((score, i) => expect(score).toBeCloseTo(y[i], 4));
      expect(await a.itemTable()).toEqual(table.data);
      for (const model of [a, b]) model.dispose();
      // The parameters are those of the codes, not of the catalog.
      expect(toArrays(loaded.tensors).get('items.weight')?.length).toBe(CODES * 16);
    },
  );

  it('recommend, adapt, pack, and learn new items', async () => {
    const trained = await trainModel(events, { ...shared, settings: SETTINGS, epochs: 12 });
    const light = await openModel(new Blob(await packModel(trained.files, { weights: 'int8' })));
    for (const files of [trained.files, light]) {
      const here = await Recommender.load(files, { device: cpu });
      const query = { history: ['i3', 'i4', 'i5'], k: 3, includeSeen: true };
      expect((await here.recommend(query)).items[0].id).toBe('i6');
      expect((await here.recommend({ ...query, diversity: 0.3 })).items).toHaveLength(3);
      expect((await here.personalize(['i1', 'i2', 'i9'], { steps: 2 })).vector.some((v) => v !== 0)).toBe(true);
      here.close();
    }
    const more = Array.from({ length: 200 }, (_, i) => ({
      user: `w${i % 20}`,
      item: i % 3 === 0 ? 'new' : `i${i % 12}`,
      time: 1000 + i,
    }));
    const updated = await updateModel(trained.files, events, more, { device: cpu, epochs: 1 });
    const table = (await loadModel(updated.files)).tensors.get('items.weight') as CodedTensor;
    const before = (await loadModel(trained.files)).tensors.get('items.weight') as CodedTensor;
    expect(table.shape).toEqual([13, 16]);
    expect(table.codes.codes.slice(0, 48)).toEqual(before.codes.codes);
  });

  it('continue bit for bit', async () => {
    const options = { ...shared, settings: { ...SETTINGS, ...set('ema=0.9') }, seed: 3 };
    const whole = new MemoryFiles('whole');
    await trainModel(events, { ...options, files: whole, epochs: 4 });
    const halved = new MemoryFiles('halved');
    await trainModel(events, { ...options, files: halved, epochs: 2 });
    const plan = await resumePlan(halved, { log: logOf(events, 'events'), name: 'events' }, { epochs: 4 });
    await runPlan(plan, { device: cpu, files: halved });
    await expectSameCheckpoint(whole, halved);
    const codesOf = async (files: MemoryFiles) => (await loadCheckpoint(files))?.params.get('items.weight');
    expect(((await codesOf(halved)) as CodedTensor).codes).toEqual(((await codesOf(whole)) as CodedTensor).codes);
  });
});

describe('refused in one line', () => {
  it.each([
    ['itemCodes=6', 'expected a multiple of 4 that divides d / 4 = 4'],
    ['itemCodes=8', 'expected a multiple of 4 that divides d / 4 = 4'],
    ['tableOptimizer=adagrad loss=sampled-softmax', 'requires'],
    ['rankerEncoder=own', 'requires'],
  ])('%s', (line, message) => {
    expect(() => small(set(`${WIDE} ${line}`))).toThrow(message);
  });

  it('codes that are missing, and more than a step reads', () => {
    const settings = small(set(WIDE));
    expect(() => SequenceModel.create(cpu, settings, 12, 1)).toThrow(
      'expected 4 codes for each of 12 items, which a training finds',
    );
    const items = 2 ** 20;
    const codes = { codes: new Uint8Array(4 * items), each: 4 };
    expect(() => SequenceModel.create(cpu, settings, items, 1, { codes })).toThrow(
      'a step reads 4194304 codes, expected at most 2097152',
    );
  });

  it('files whose codes and parts do not belong together', () => {
    const parts = { shape: [CODES * 4, 4], data: new Float32Array(CODES * 16) };
    const table = new CodedTensor({ codes: new Uint8Array(12), each: 4 }, parts);
    const bytes = encode(new Map([['items.weight', table]]));
    expect((decode(bytes).tensors.get('items.weight') as CodedTensor).codes).toEqual(table.codes);
    const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
    const broken = Uint8Array.from(text.replace('[3,4]', '[4,3]'), (c) => c.charCodeAt(0));
    expect(() => decode(broken, 'x')).toThrow(/^x: tensor items\.weight: expected codes U8 \[V, M\]/);
  });
});
