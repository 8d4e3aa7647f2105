/** A table whose gradients are kept by row takes the steps of dense AdamW. */
import { describe, expect, it } from 'vitest';
import {
  AdamW,
  type Device,
  ParameterArena,
  type ParameterSpec,
  ROW_RING,
  type RowOptimizer,
  type RowOptions,
  STATUS,
  type Tensor,
} from '../engine/index.ts';
import { openDevice } from './device.ts';

const BETAS = { beta1: 0.9, beta2: 0.98, eps: 1e-8, weightDecay: 0.01, clip: 0.5 };
const D = 6;
const V = 150;

const normalOf = (seed: number): (() => number) => {
  let s = seed;
  return () => {
    s = (Math.imul(s, 1664525) + 1013904223) >>> 0;
    return s / 2 ** 31 - 1;
  };
};

function specs(touchedRows?: number, rowOptimizer?: RowOptimizer): ParameterSpec[] {
  const draw = normalOf(1);
  const init = (n: number) => Float32Array.from({ length: n }, draw);
  return [
    { name: 'w', shape: [5, 3], decay: true, init: init(15) },
    {
      name: 'items',
      shape: [V, D],
      decay: false,
      embedding: true,
      table: true,
      init: init(V * D),
      touchedRows,
      rowOptimizer,
    },
  ];
}

/** The rows of a step: some come often, row 3 rarely, rows from 140 on never. */
function rowsOf(step: number): Uint32Array {
  const rows = new Set([step % 7, 20 + ((step * 13) % 120), 64 + (step % 3)]);
  if (step % 300 === 1) rows.add(3);
  return Uint32Array.from(rows);
}

/** A gradient of row r at a step, for both kinds. */
const gradient = (step: number, row: number): Float32Array => {
  const draw = normalOf(step * 1000 + row);
  return Float32Array.from({ length: D }, () => 0.1 * draw());
};

const rate = (step: number): number => 0.01 / (1 + step / 200);

interface Run {
  arena: ParameterArena;
  adamw: AdamW;
}

function make(
  device: Device,
  sparse: boolean,
  more: object = {},
  maxBindingBytes?: number,
  rowOptimizer?: RowOptimizer,
): Run {
  const arena = new ParameterArena(device, specs(sparse ? 8 : undefined, rowOptimizer), { maxBindingBytes });
  return { arena, adamw: new AdamW(arena, { ...BETAS, ...more, onFailure: 'status' }) };
}

/** Takes the steps from `from` to `to`. */
function train(device: Device, { arena, adamw }: Run, from: number, to: number): void {
  for (let step = from; step <= to; step++) {
    adamw.prepare({ seed: 1, step, learningRate: rate(step), dropout: false });
    const rows = rowsOf(step);
    const w = Float32Array.from({ length: 15 }, normalOf(step));
    device.write(arena.get('w').grad as Tensor, w);
    const [table] = arena.rowTables;
    const values = new Float32Array((table ? table.capacity : V) * D);
    for (const [i, row] of rows.entries()) values.set(gradient(step, row), (table ? i : row) * D);
    device.scope(() => {
      if (table) {
        table.touch(rows);
        adamw.rows();
        device.write(table.grads, values);
      } else device.write(arena.get('items').grad as Tensor, values);
      adamw.step(device.tensor([1]));
    });
  }
}

const all = async ({ arena }: Run, kind: 'params' | 'm' | 'v' | 'average' = 'params') => [
  ...((await arena.read(kind)).get('items') as Float32Array),
];
const close = (a: number[], b: number[], bound: number): void => {
  expect(a.length).toBe(b.length);
  const worst = a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]) / (1 + Math.abs(b[i]))), 0);
  expect(worst).toBeLessThan(bound);
};

describe.each(['cpu', 'webgpu'] as const)('on %s', async (backend) => {
  const device = await openDevice({ backend });

  it.each([
    ['without decay', {}],
    ['with weight decay of embeddings', { embeddingDecay: 0.5 }],
    ['with a rate of its own', { tableRate: 3, embeddingDecay: 0.5 }],
    ['with a moving average', { averageDecay: 0.9 }],
    ['with a slow moving average', { averageDecay: 0.998 }],
  ])('a table by row equals the dense one %s', async (_, more) => {
    const [dense, sparse] = [make(device, false, more), make(device, true, more)];
    const averaged = 'averageDecay' in more;
    if (averaged) for (const { arena } of [dense, sparse]) await arena.startAverage();
    for (const [from, to] of [
      [1, 12],
      [13, 650],
    ]) {
      for (const run of [dense, sparse]) train(device, run, from, to);
      // A look at the current values changes nothing that is stored.
      const before = await all(sparse);
      const shown = await sparse.adamw.showing(averaged, () => all(sparse));
      expect(await all(sparse)).toEqual(before);
      expect(shown).not.toEqual(before);
      close(shown, await all(dense, averaged ? 'average' : 'params'), 2e-6);
    }
    sparse.adamw.catchUp();
    for (const kind of ['params', 'm', 'v', ...(averaged ? (['average'] as const) : [])] as const)
      close(await all(sparse, kind), await all(dense, kind), 2e-6);
    close(
      [...((await sparse.arena.read()).get('w') as Float32Array)],
      [...((await dense.arena.read()).get('w') as Float32Array)],
      2e-6,
    );
    for (const { arena, adamw } of [dense, sparse]) {
      adamw.dispose();
      arena.dispose();
    }
  });

  it('a table in shards takes the same steps, bit for bit', async () => {
    const [whole, parts] = [make(device, true), make(device, true, {}, 64 * D * 4)];
    expect(parts.arena.rowTables[0].shards.length).toBe(3);
    for (const run of [whole, parts]) train(device, run, 1, 40);
    for (const kind of ['params', 'm', 'v'] as const) expect(await all(parts, kind)).toEqual(await all(whole, kind));
    expect(await parts.arena.rowTables[0].progress()).toEqual(await whole.arena.rowTables[0].progress());
  });

  it('a training that was interrupted continues bit for bit', async () => {
    const [once, first, second] = [make(device, true), make(device, true), make(device, true)];
    train(device, once, 1, 60);
    train(device, first, 1, 33);
    for (const kind of ['params', 'm', 'v'] as const) second.arena.load(kind, await first.arena.read(kind));
    second.arena.rowTables[0].load(await first.arena.rowTables[0].progress(), 33);
    second.adamw.continueFrom(33);
    train(device, second, 34, 60);
    for (const kind of ['params', 'm', 'v'] as const) expect(await all(second, kind)).toEqual(await all(once, kind));
  });

  it('row-wise Adagrad takes the steps of its definition, in shards, and continues bit for bit', async () => {
    const options = { rowRate: 20, averageDecay: 0.9, clip: 0 };
    const adagrad = async (maxBindingBytes?: number): Promise<Run> => {
      const run = make(device, true, options, maxBindingBytes, 'adagrad');
      await run.arena.startAverage();
      return run;
    };
    const [once, parts, first, second] = [await adagrad(), await adagrad(64 * D * 4), await adagrad(), await adagrad()];
    for (const run of [once, parts]) train(device, run, 1, 60);
    // Every row, every step, in double precision.
    const x = Float64Array.from(specs()[1].init);
    const average = x.slice();
    const sums = new Float64Array(V);
    for (let step = 1; step <= 60; step++) {
      for (const row of rowsOf(step)) {
        const g = gradient(step, row);
        sums[row] += g.reduce((sum, a) => sum + a * a, 0) / D;
        for (let c = 0; c < D; c++) x[row * D + c] -= (rate(step) * 20 * g[c]) / (Math.sqrt(sums[row]) + BETAS.eps);
      }
      const kept = Math.min(0.9, (1 + step) / (10 + step));
      for (let i = 0; i < x.length; i++) average[i] = x[i] + kept * (average[i] - x[i]);
    }
    close(await once.adamw.showing(false, () => all(once)), [...x], 2e-6);
    close(await once.adamw.showing(true, () => all(once)), [...average], 2e-6);
    const { sums: found } = await once.arena.rowTables[0].progress();
    close([...(found as Float32Array)], [...sums], 2e-6);
    expect(await all(parts)).toEqual(await all(once));
    expect(await parts.arena.rowTables[0].progress()).toEqual(await once.arena.rowTables[0].progress());
    // One number a row: the table has no moments.
    expect([...(await once.arena.read('m')).keys()]).toEqual(['w']);
    train(device, first, 1, 33);
    for (const kind of ['params', 'm', 'v', 'average'] as const) second.arena.load(kind, await first.arena.read(kind));
    second.arena.rowTables[0].load(await first.arena.rowTables[0].progress(), 33);
    second.adamw.continueFrom(33);
    train(device, second, 34, 60);
    for (const kind of ['params', 'average'] as const) expect(await all(second, kind)).toEqual(await all(once, kind));
    expect(() =>
      make(device, true).arena.rowTables[0].load(
        { last: new Uint32Array(V), history: new Float32Array(1), sums: new Float32Array(V) },
        1,
      ),
    ).toThrow('expected the sums of 0 rows, got 150');
  });

  it('a dense training continues by row', async () => {
    const [dense, sparse] = [make(device, false), make(device, true)];
    train(device, dense, 1, 50);
    for (const kind of ['params', 'm', 'v'] as const) sparse.arena.load(kind, await dense.arena.read(kind));
    sparse.arena.rowTables[0].load(null, 50);
    sparse.adamw.continueFrom(50);
    for (const run of [dense, sparse]) train(device, run, 51, 120);
    sparse.adamw.catchUp();
    close(await all(sparse), await all(dense), 2e-6);
  });

  it('every row is caught up before its steps leave the history', async () => {
    const run = make(device, true);
    const { arena, adamw } = run;
    adamw.continueFrom(ROW_RING - 3);
    arena.rowTables[0].load(null, ROW_RING - 3);
    train(device, run, ROW_RING - 2, ROW_RING);
    const lastOf = async () => (await arena.rowTables[0].progress()).last;
    expect(new Set(await lastOf()).size).toBeGreaterThan(1);
    adamw.prepare({ seed: 1, step: ROW_RING + 1, learningRate: 0.1, dropout: false });
    expect(new Set(await lastOf())).toEqual(new Set([ROW_RING]));
  });

  it('a step that is not finite changes nothing from then on', async () => {
    const run = make(device, true);
    train(device, run, 1, 5);
    const { arena, adamw } = run;
    const bad = () => {
      adamw.prepare({ seed: 1, step: 6, learningRate: 0.1, dropout: false });
      arena.rowTables[0].touch(rowsOf(6));
      device.scope(() => {
        adamw.rows();
        device.write(arena.rowTables[0].grads, new Float32Array(8 * D).fill(Number.NaN));
        adamw.step(device.tensor([1]));
      });
    };
    bad();
    const sound = await all(run);
    expect((await adamw.status.data())[STATUS.FAILED]).toBe(6);
    train(device, run, 7, 9);
    expect(await all(run)).toEqual(sound);
    expect(sound.every(Number.isFinite)).toBe(true);
  });

  it('refuses what it cannot do', () => {
    const { arena } = make(device, true);
    const [table] = arena.rowTables;
    expect(() => table.touch(new Uint32Array(9))).toThrow('items: expected at most 8 rows in a step, got 9');
    const status = device.tensor(new Uint32Array(16));
    const options: RowOptions = { ...BETAS, status };
    expect(() => table.read({ ...options, embeddingDecay: 0.1, averageDecay: 0.9 })).toThrow(
      'no weight decay of a table',
    );
    expect(() => table.read({ ...options, beta1: 0.99, beta2: 0.9 })).toThrow('beta1 below the root of beta2');
    const flat = { ...specs(8)[1], shape: [V * D] };
    expect(() => new ParameterArena(device, [flat])).toThrow('expected a table [V,D]');
  });
});
