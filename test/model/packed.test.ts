/** Models with compressed weights: what is stored, what a device holds, and that scores are those of the same numbers in f32. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InputError } from '../../data/errors.ts';
import { type Device, packRows, TABLE_FORMATS, type TableFormat, unpackRows } from '../../engine/index.ts';
import { SequenceModel } from '../../model/encoders/sequence-model.ts';
import { settingsOf } from '../../model/inference/ranking-model.ts';
import { settingsFor } from '../../model/recipes/recipes.ts';
import { MODEL } from '../../model/storage/checkpoint.ts';
import { MemoryFiles } from '../../model/storage/files.ts';
import { loadModel } from '../../model/storage/load-model.ts';
import { commit, MANIFEST, Snapshot } from '../../model/storage/manifest.ts';
import { copyModel, packModel } from '../../model/storage/pack.ts';
import { PackedTensor, rowOf } from '../../model/storage/packed-tensor.ts';
import { decode, decodeModel, encode, type StoredTensor } from '../../model/storage/safetensors.ts';
import { openModel, Recommender } from '../../recommend/index.ts';
import { openDevice } from '../device.ts';
import { smallModel } from '../recommend/model.fixture.ts';
import { set } from '../set.ts';

const FORMATS = Object.keys(TABLE_FORMATS) as TableFormat[];
const device = await openDevice({ backend: 'cpu' });

/** The model's packed file. */
const pack = async (files: MemoryFiles, weights?: TableFormat): Promise<Blob> =>
  new Blob(await packModel(files, { weights }));

describe.each(FORMATS)('%s', (format) => {
  it('keeps numbers to half a step of the row', () => {
    const number = fc.float({ noNaN: true, noDefaultInfinity: true, min: -60_000, max: 60_000 });
    fc.assert(
      fc.property(fc.array(fc.array(number, { minLength: 8, maxLength: 8 }), { maxLength: 5 }), (rows) => {
        const values = Float32Array.from(rows.flat());
        const packed = packRows(values, 8, format);
        expect(packed.words.length).toBe(Math.ceil((values.length * TABLE_FORMATS[format].bits) / 32));
        const back = unpackRows(packed);
        rows.forEach((row, r) => {
          const largest = Math.max(...row.map(Math.abs));
          const { most } = TABLE_FORMATS[format];
          for (const [c, x] of row.entries()) {
            const step = most > 0 ? largest / most : Math.max(Math.abs(x) * 2 ** -10, 2 ** -24);
            expect(Math.abs(back[8 * r + c] - x)).toBeLessThanOrEqual(0.5001 * step + 1e-37);
          }
        });
        expect(unpackRows(packed, 0, rows.length)).toEqual(back);
      }),
    );
  });

  it('is stored bit for bit, and read from anywhere in a file', () => {
    const { normal } = { normal: (i: number) => Math.sin(i * i) };
    const table = PackedTensor.of(
      [3, 8],
      Float32Array.from({ length: 24 }, (_, i) => normal(i)),
      format,
    );
    const odd = PackedTensor.of([3], Float32Array.of(1, -2, 0.5), 'f16');
    const tensors = new Map<string, StoredTensor>([
      ['odd', odd],
      ['table', table],
      ['after', { shape: [2], data: Float32Array.of(7, 8) }],
    ]);
    const back = decode(encode(tensors)).tensors;
    expect([...back.keys()]).toEqual(['odd', 'table', 'after']);
    expect([...(back.get('odd') as StoredTensor).data]).toEqual([1, -2, 0.5]);
    const again = back.get('table') as PackedTensor;
    expect(again).toBeInstanceOf(PackedTensor);
    expect(again.shape).toEqual([3, 8]);
    expect(again.data).toEqual(table.data);
    expect(rowOf(again, 2)).toEqual(table.data.subarray(16));
    expect([...(back.get('after') as StoredTensor).data]).toEqual([7, 8]);
  });

  it('scores as the same numbers in f32 do, dot product, cosine and mixture of logits', async () => {
    const devices = [device, await openDevice({ backend: 'wasm' }), await openDevice({ backend: 'webgpu' })];
    for (const line of ['similarity=dot', 'similarity=cosine', 'loss=sampled-softmax similarity=cosine head=mol']) {
      const files = await smallModel(device, { set: set(line) });
      const loaded = await loadModel(await openModel(await pack(files, format)));
      const table = loaded.tensors.get('items.weight') as PackedTensor;
      expect(table.format).toBe(format);
      const plain = new Map<string, StoredTensor>(
        [...loaded.tensors].map(([name, { shape, data }]) => [name, { shape, data }]),
      );
      const settings = settingsOf(loaded);
      for (const on of devices) {
        for (const rows of [1, 9]) {
          const scores = async (tensors: typeof plain): Promise<Float32Array> => {
            const model = SequenceModel.load(on, settings, loaded.items.length, tensors);
            const ids = on.tensor(Uint32Array.from({ length: rows }, (_, i) => i)).keep();
            const ends = on.tensor(Uint32Array.from({ length: rows }, (_, i) => i + 1)).keep();
            const zeros = on.tensor(new Uint32Array(rows)).keep();
            const tokens = { items: ids, positions: zeros, start: ids, end: ends };
            const out = on.noGrad(() => on.scope(() => model.scores(model.nextStates(tokens, ids)).keep()));
            const values = (await out.data()) as Float32Array;
            for (const t of [ids, ends, zeros, out]) t.dispose();
            model.dispose();
            return values;
          };
          const [packed, wide] = [await scores(loaded.tensors), await scores(plain)];
          const largest = wide.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
          packed.forEach((x, i) => expect(Math.abs(x - wide[i])).toBeLessThan(3e-6 * largest));
        }
      }
    }
  });

  it('no table is widened on a device', async () => {
    const [V, d] = [20_000, 64];
    const settings = settingsFor('sasrec', set(`d=${d} ff=64 blocks=1 window=8 budget=64`));
    const values = Float32Array.from({ length: V * d }, (_, i) => Math.sin(i));
    for (const backend of ['wasm', 'webgpu'] as const) {
      const tensors = await weightsOf(device, settings, V);
      const held = async (table: StoredTensor): Promise<number> => {
        const on = await openDevice({ backend });
        const model = SequenceModel.load(on, settings, V, new Map([...tensors, ['items.weight', table]]));
        const ids = on.tensor(Uint32Array.of(5, V - 1)).keep();
        const states = on.full([2, d], 0.5).keep();
        await on.noGrad(() => on.scope(() => model.scores(states).keep())).data();
        await on.noGrad(() => on.scope(() => model.scoresOf(states, ids).keep())).data();
        const { bytes } = on.stats();
        on.close();
        return bytes - 2 * V * 4;
      };
      const wide = await held({ shape: [V, d], data: values });
      const packed = await held(PackedTensor.of([V, d], values, format));
      expect(wide).toBeGreaterThan(4 * V * d);
      // Numbers, scales, and what the other weights and pools take: far from the table in f32.
      expect(wide - packed).toBeGreaterThan(0.9 * (4 * V * d - (V * d * TABLE_FORMATS[format].bits) / 8 - 4 * V));
    }
  });

  it('a packed model is smaller, and recommends', async () => {
    const files = await smallModel(device);
    const [plain, light] = [await pack(files), await pack(files, format)];
    expect(light.size).toBeLessThan(plain.size);
    const here = await Recommender.load(light, { device });
    const wide = await Recommender.load(plain, { device });
    const query = { history: ['i3', 'i8'], k: 8, diversity: 0.3 };
    const [a, b] = [await here.recommend(query), await wide.recommend(query)];
    const found = a.items.filter(({ id }) => b.items.some((other) => other.id === id)).length;
    expect(found).toBeGreaterThanOrEqual(6);
    const learned = await here.personalize(['i1', 'i2', 'i9'], { steps: 2 });
    expect(learned.vector.some((x) => x !== 0)).toBe(true);
    here.close();
    wide.close();
    // A folder that it is unpacked into is the same model, and cannot be compressed again.
    const folder = new MemoryFiles('copy');
    await copyModel(await openModel(light), folder);
    expect((await loadModel(folder)).tensors.get('items.weight')).toBeInstanceOf(PackedTensor);
    await expect(pack(folder, 'int8')).rejects.toThrow(
      /^copy\/model-000001\.safetensors: its weights are compressed already; pack the model/,
    );
  });
});

/** Fresh weights of a model, without its item table. */
async function weightsOf(on: Device, settings: ReturnType<typeof settingsFor>, items: number) {
  const model = SequenceModel.create(on, settings, items, 1);
  const values = await model.parameters.read();
  const tensors = new Map<string, StoredTensor>(
    [...values].map(([name, data]) => [name, { shape: [...model.parameters.shapeOf(name)], data }]),
  );
  model.dispose();
  tensors.delete('items.weight');
  return tensors;
}

describe('damage', () => {
  const table = PackedTensor.of([2, 4], Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8), 'int8');
  const write = (...rows: [string, StoredTensor][]): Uint8Array => encode(new Map(rows));
  const f16 = (...words: number[]): StoredTensor =>
    new PackedTensor([2 * words.length], {
      format: 'f16',
      width: 2 * words.length,
      words: Uint32Array.from(words),
      scales: Float32Array.of(1),
    });
  const broken = (bytes: Uint8Array, from: string, to: string): Uint8Array => {
    const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
    expect(text).toContain(from);
    return Uint8Array.from(text.replace(from, to), (c) => c.charCodeAt(0));
  };

  it.each([
    ['an infinity', () => write(['a', f16(0, 0x7c000000)]), 'tensor a holds Infinity at 3; expected finite numbers'],
    ['NaN', () => write(['a', f16(0xfe01, 0)]), 'tensor a holds NaN at 0; expected finite numbers'],
    ['a scale', () => write(['a', scaled(Number.NaN)]), 'tensor a holds NaN at 4; expected finite numbers'],
    [
      'no scales',
      () => broken(write(['a', table]), 'a.scales', 'b.scales'),
      'tensor a has dtype I8: expected a matrix',
    ],
    [
      'scales of another size',
      () => broken(write(['a', table]), '[2,4]', '[4,2]'),
      'and F32 [V] under the name a.scales',
    ],
    ['an unknown dtype', () => broken(write(['a', table]), '"I8"', '"I9"'), 'tensor a has dtype I9; F32, U32, F16'],
  ])('%s is one clear line', (_, bytes, message) => {
    const fail = (): unknown => decodeModel(bytes(), 'm/x.safetensors');
    expect(fail).toThrow(InputError);
    expect(fail).toThrow(new RegExp(`^m/x\\.safetensors: [^\\n]*${message.replace(/[[\]]/g, '\\$&')}[^\\n]*$`));
  });

  function scaled(scale: number): StoredTensor {
    return new PackedTensor([2, 4], { ...table.rows(), scales: Float32Array.of(1, scale) });
  }

  it('a table of another width is refused before anything is allocated, and changed bytes by their checksum', async () => {
    const files = new MemoryFiles('m');
    await copyModel(await openModel(await pack(await smallModel(device), 'int8')), files);
    const snapshot = await Snapshot.open(files);
    const bytes = (await snapshot.read(MODEL)) as Uint8Array;
    const { tensors, metadata } = decode(bytes);
    tensors.set('items.weight', PackedTensor.of([60, 8], new Float32Array(480), 'int8'));
    await commit(files, { [MODEL]: encode(tensors, metadata) });
    await expect(Recommender.load(files, { device })).rejects.toThrow(
      /tensor items\.weight: expected F32 \[60, 16\], got F32 \[60, 8\]/,
    );
    const name = JSON.parse(new TextDecoder().decode((await files.read(MANIFEST)) as Uint8Array)).files[MODEL].file;
    const changed = ((await files.read(name)) as Uint8Array).slice();
    changed[changed.length - 3] ^= 1;
    await files.write(name, changed);
    await expect(loadModel(files)).rejects.toThrow(InputError);
  });

  it('numbers beyond f16 are refused when packing, and checkpoints', async () => {
    const files = await smallModel(device, { memory: false });
    const snapshot = await Snapshot.open(files);
    const { tensors, metadata } = decode((await snapshot.read(MODEL)) as Uint8Array);
    const bias = tensors.get('norm.weight') as StoredTensor;
    tensors.set('norm.weight', { shape: bias.shape, data: Float32Array.from(bias.data, () => 1e5) });
    await commit(files, { [MODEL]: encode(tensors, metadata) });
    await expect(pack(files, 'int8')).rejects.toThrow(
      'tensor norm.weight: expected numbers up to 65,504, which f16 holds',
    );
    await expect(packModel(files, { weights: 'int8', checkpoint: true })).rejects.toThrow(
      'a checkpoint is not compressed',
    );
  });
});
