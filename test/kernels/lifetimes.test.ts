/** Who owns memory, and for how long: initial values, what programs hang on, what the host writes and reads. */
import { describe, expect, it } from 'vitest';
import {
  copy,
  crossEntropy,
  Device,
  dropout,
  embedding,
  fill,
  groupRows,
  type HostValues,
  maskSeen,
  scale,
  storeRows,
  sum,
  type Tensor,
} from '../../engine/index.ts';
import { exchange } from '../../engine/ops/adamw.ts';
import { backends } from './devices.ts';

/** Leaves buffers of every small size full of 7 in the pool. */
function soil(device: Device): void {
  const sizes = [16, 64, 128, 256, 512, 1024, 2048, 4096].flatMap((n) => [n, n, n]);
  for (const t of sizes.map((n) => device.full([n], 7))) t.dispose();
}

const values = async (t: Tensor): Promise<number[]> => Array.from(await t.data());
const zeros = (n: number): number[] => Array(n).fill(0);

describe.each(backends)('initial values on %s', (_, device) => {
  it('are zero, whatever the memory held', async () => {
    soil(device);
    expect(await values(device.empty([64]))).toEqual(zeros(64));
    soil(device);
    expect(await values(scale(device.empty([100]), 2))).toEqual(zeros(100));
    soil(device);
    const half = device.empty([128]);
    device.write(device.view(half, 64, [64], 'f32', 'second half'), Array(64).fill(1));
    expect(await values(half)).toEqual([...zeros(64), ...Array(64).fill(1)]);
  });

  it('are zero for what an op changes in part', async () => {
    const ones = device.full([1, 4], 1);
    soil(device);
    const rows = device.empty([2, 4]);
    storeRows(ones, device.tensor(Uint32Array.of(1)), rows);
    expect(await values(rows)).toEqual([0, 0, 0, 0, 1, 1, 1, 1]);
    soil(device);
    const scores = device.empty([1, 4]);
    maskSeen(scores, { offsets: device.tensor(Uint32Array.of(0, 0)), items: device.tensor(Uint32Array.of(0)) });
    expect(await values(scores)).toEqual(zeros(4));
    soil(device);
    const [a, b] = [device.full([4], 1), device.empty([4])];
    exchange(a, b);
    expect(await values(a)).toEqual(zeros(4));
  });

  it('are zero in every run of a program', async () => {
    const one = device.full([64], 1);
    const program = device.program('reads what nothing wrote', () => {
      const filled = scale(one, 3); // its slot is free again for y's operand
      const total = sum(filled);
      return { y: scale(device.empty([64]), 1), total };
    });
    for (let i = 0; i < 3; i++) expect(await values(program.run().y)).toEqual(zeros(64));
    program.dispose();
  });

  it('are zero in the state, so that dropout is off until set', async () => {
    const fresh = await Device.open({ backend: device.backend });
    soil(fresh);
    const x = fresh.full([64], 1);
    expect(await values(dropout(x, 0.5))).toEqual(Array(64).fill(1));
    expect(await values(fresh.state)).toEqual(zeros(16));
    fresh.close();
  });

  it('are zero in a gradient that nothing reached: cross-entropy of no rows', async () => {
    const table = device.tensor(Array(40).fill(0.5), [10, 4], { requiresGrad: true });
    soil(device);
    const none = device.tensor(new Uint32Array(0));
    const loss = crossEntropy(device.empty([0, 4]), table, none, device.empty([0]));
    expect(await loss.item()).toBe(0);
    loss.backward();
    expect(await values(table.grad as Tensor)).toEqual(zeros(40));
  });
});

describe.each(backends)('a program on %s', (_, device) => {
  const make = (device: Device) => {
    const x = device.tensor([1, 2, 3], [3], { label: 'x' });
    const w = device.tensor([1, 1, 1], [3], { label: 'w', requiresGrad: true });
    const program = device.program('small step', () => {
      fill(w.grad as Tensor, 0);
      const loss = sum(scale(copy(x), 2));
      return { loss, doubled: scale(w, 2), w };
    });
    return { x, w, program };
  };

  it.each(['x', 'w'] as const)('refuses to run after %s was freed, and names it', async (name) => {
    const made = make(device);
    expect(await made.program.run().loss.item()).toBe(12);
    made[name].dispose();
    const stranger = device.full([3], 5); // takes the freed memory
    expect(() => made.program.run()).toThrow(
      /^small step: (x|w|grad of w) \[3\], which the program reads or writes, was freed; make a new program/,
    );
    await expect(made.program.values()).rejects.toThrow('was freed');
    expect(await values(stranger)).toEqual([5, 5, 5]);
    made.program.dispose();
  });

  it('refuses to run after a view of what it reads was freed with its base', () => {
    const base = device.full([128], 1, 'arena');
    const part = device.view(base, 64, [64], 'f32', 'weight');
    const program = device.program('reads a view', () => ({ y: scale(part, 2) }));
    program.run();
    base.dispose();
    expect(() => program.run()).toThrow('reads a view: weight [64], which the program reads or writes, was freed');
    program.dispose();
  });

  it('owns its outputs, which are the same tensors in every run', async () => {
    const { x, program } = make(device);
    const first = program.run();
    expect(() => first.loss.dispose()).toThrow(
      /^dispose: sum \[\] is an output of the program "small step", which writes to it again; dispose the program$/,
    );
    device.write(x, [4, 5, 6]);
    const second = program.run();
    expect(second.loss).toBe(first.loss);
    expect(await first.loss.item()).toBe(30);
    program.dispose();
    expect(() => scale(first.loss, 1)).toThrow('was freed');
    expect(() => first.loss.dispose()).not.toThrow();
    expect(await values(second.w)).toEqual([1, 1, 1]);
  });

  it('runs again after dispose(), anew', async () => {
    const { x, w, program } = make(device);
    program.run();
    program.dispose();
    expect(await program.run().loss.item()).toBe(12);
    program.dispose();
    x.dispose();
    w.dispose();
  });

  it('refuses temporaries around it, writes inside of it, and programs inside of it', () => {
    device.scope(() => {
      const x = device.full([4], 1, 'outer');
      expect(() => device.program('inner step', () => ({ y: scale(x, 2) })).run()).toThrow(
        'inner step: outer belongs to a scope around the step; keep() it',
      );
    });
    expect(() => device.program('writing step', () => ({ y: device.tensor([1]) })).run()).toThrow(
      /^write: tensor \[1\] is written by the host inside of a step/,
    );
    const inner = device.program('inner step', () => ({ y: device.full([4], 1) }));
    expect(() => device.program('outer step', () => inner.run()).run()).toThrow(
      'inner step: a step cannot run inside of another one',
    );
    expect(() => inner.run()).not.toThrow();
    inner.dispose();
  });

  it('gives each of several concurrent values() what was written before it', async () => {
    const x = device.tensor([0]);
    const program = device.program('doubles', () => ({ y: scale(x, 2) }));
    for (let round = 0; round < 3; round++) {
      const reads = [1, 2, 3].map((v) => {
        device.write(x, [v]);
        return program.values();
      });
      expect((await Promise.all(reads)).map(({ y }) => y[0])).toEqual([2, 4, 6]);
    }
    // The same with a run in flight.
    device.write(x, [5]);
    program.run();
    await program.pace();
    device.write(x, [6]);
    const read = program.values();
    device.write(x, [7]);
    expect((await read).y[0]).toBe(12);
    await program.settle();
    expect(Number.isFinite(program.milliseconds)).toBe(true);
    program.dispose();
  });
});

describe.each(backends)('what the host writes on %s', (_, device) => {
  const accepted: [string, () => HostValues][] = [
    ['numbers', () => [1, 2, 250]],
    ['Float32Array', () => Float32Array.of(1, 2, 250)],
    ['Float64Array', () => Float64Array.of(1, 2, 250)],
    ['Uint32Array', () => Uint32Array.of(1, 2, 250)],
    ['Int32Array', () => Int32Array.of(1, 2, 250)],
    ['Uint16Array', () => Uint16Array.of(1, 2, 250)],
    ['Int16Array', () => Int16Array.of(1, 2, 250)],
    ['Uint8Array', () => Uint8Array.of(1, 2, 250)],
    ['Uint8ClampedArray', () => Uint8ClampedArray.of(1, 2, 250)],
  ];
  it.each(accepted)('%s arrive as values, in tensors of both types', async (_name, data) => {
    for (const start of [Float32Array.of(9, 9, 9), Uint32Array.of(9, 9, 9)]) {
      const t = device.tensor(start);
      device.write(t, data());
      expect(await t.data()).toEqual(
        start.constructor === Float32Array ? Float32Array.of(1, 2, 250) : Uint32Array.of(1, 2, 250),
      );
    }
  });

  it('is refused by name where the tensor cannot hold it', () => {
    const ids = device.tensor(Uint32Array.of(0, 0), [2], { label: 'ids' });
    for (const [bad, at] of [
      [[1, 1.5], 1],
      [Float32Array.of(-1, 1), 0],
      [Int32Array.of(1, -1), 1],
      [[1, 2 ** 32], 1],
      [[Number.NaN, 1], 0],
    ] as const) {
      expect(() => device.write(ids, bad)).toThrow(
        `write: ids u32[2] takes integers from 0 to 4294967295, got ${bad[at]} at ${at}`,
      );
    }
    const refused: [HostValues, 'f32' | 'u32', string][] = [
      [
        BigInt64Array.of(1n, 2n ** 40n),
        'u32',
        'takes integers from 0 to 4294967295, got 1099511627776 at 1 of BigInt64Array',
      ],
      [BigInt64Array.of(2n ** 60n + 1n, 0n), 'f32', 'got 1152921504606846977 at 0 of BigInt64Array; give numbers'],
      [Int32Array.of(0, 2 ** 24 + 1), 'f32', 'integers that an f32 has exactly, got 16777217 at 1 of Int32Array'],
      [Int8Array.of(1, -1), 'u32', "got -1 at 1 of Int8Array; a tensor of numbers is made with { dtype: 'f32' }"],
      [[1, 1e39], 'f32', 'takes numbers up to 3.4e38, got 1e+39 at 1 of Array'],
    ];
    for (const [bad, dtype, message] of refused) {
      expect(() => device.tensor(bad, [2], { dtype })).toThrow(message);
      expect(() => device.write(device.empty([2], dtype), bad)).toThrow(message);
    }
    for (const [bad, name] of [
      [new DataView(new ArrayBuffer(8)), 'expected numbers or a typed array of numbers, got DataView'],
      ['ab', 'got String'],
      [null, 'got null'],
    ] as const)
      expect(() => device.tensor(bad as unknown as HostValues, [2]), name).toThrow(name);
  });

  it('decides the type of a new tensor, unless it is said', async () => {
    const made = (data: HostValues, dtype?: 'f32' | 'u32') => device.tensor(data, [2], { dtype });
    for (const kind of [Uint8Array, Uint8ClampedArray, Uint16Array, Int8Array, Int16Array, Int32Array, Uint32Array])
      expect(made(kind.of(3, 120)).dtype).toBe('u32');
    expect(await made(BigInt64Array.of(3n, 4294967295n)).data()).toEqual(Uint32Array.of(3, 4294967295));
    expect(await made(BigUint64Array.of(3n, 2n ** 40n), 'f32').data()).toEqual(Float32Array.of(3, 2 ** 40));
    expect(await made(Int16Array.of(-3, 5), 'f32').data()).toEqual(Float32Array.of(-3, 5));
    expect(await made([3, 5], 'u32').data()).toEqual(Uint32Array.of(3, 5));
    expect(await made(Float64Array.of(0.1, Number.POSITIVE_INFINITY)).data()).toEqual(
      Float32Array.of(0.1, Number.POSITIVE_INFINITY),
    );
  });

  it('may be nothing, and nothing may be read', async () => {
    const none = device.tensor([], [0, 3]);
    device.write(none, []);
    expect(await none.data()).toEqual(new Float32Array(0));
    // A view of nothing at the very end of its memory.
    const full = device.full([64], 1);
    expect(await values(full.rows(64, 64))).toEqual([]);
    expect((await device.read([])).values).toEqual([]);
    expect((await device.read([none, full.rows(0, 64), none])).values.map(({ length }) => length)).toEqual([0, 64, 0]);
    const ids = device.tensor(new Uint32Array(0));
    expect(await embedding(device.full([3, 4], 1), ids).data()).toEqual(new Float32Array(0));
    expect(await device.program('nothing', () => ({ y: device.empty([0]) })).values()).toEqual({
      y: new Float32Array(0),
    });
    device.check();
  });

  it('lies within its tensor: views are range-checked', () => {
    const base = device.full([100], 1, 'base');
    for (const [offset, shape] of [
      [64, [37]],
      [128, [1]],
      [-64, [1]],
      [0, [101]],
    ] as const) {
      expect(() => device.view(base, offset, shape, 'f32', 'part')).toThrow(
        `view: part [${shape}] from ${offset} lies outside of base [100]`,
      );
    }
    // A view of a view may not leave it, though the memory goes on.
    const half = device.view(base, 0, [64], 'f32', 'half');
    expect(() => device.view(half, 64, [4], 'f32', 'beyond')).toThrow(
      'view: beyond [4] from 64 lies outside of half [64]',
    );
    expect(() => device.view(base, 0, [4], 'u32', 'ids')).toThrow(
      'view: ids u32 [4] cannot be a view of base, which is f32',
    );
    expect(() => device.view(base, 64, [36], 'f32', 'rest')).not.toThrow();
  });

  it('has a shape of integers and a known type', () => {
    for (const shape of [[1.5], [-1], [Number.NaN], [2, Number.POSITIVE_INFINITY]])
      expect(() => device.empty(shape)).toThrow(`tensor: expected a shape of integers >= 0, got [${shape}]`);
    expect(() => device.empty([1], 'f16' as 'f32')).toThrow('tensor: expected the type f32 or u32, got f16');
  });
});

it('row groups of no positions are taken', () => {
  expect(groupRows(new Uint32Array(0), 0, 0).counts[0]).toBe(0);
});
