/** Tables in shards give what whole tables give: the same bits where the work is cut alike. */
import { describe, expect, it } from 'vitest';
import {
  adamwStatus,
  adamwStep,
  blocksOf,
  crossEntropy,
  Device,
  embedding,
  groupRows,
  ParameterArena,
  rankOf,
  rankTiles,
  ShardedTable,
  shardsOf,
  slice,
  type Table,
  tableScores,
  type Tensor,
  topk,
} from '../../engine/index.ts';
import { firstMismatch, random, sharded } from './harness.ts';
import { tiledCases } from './cases/topk.ts';
import { openDevice } from '../device.ts';

const { normal } = random(3);
const numbers = (n: number): Float32Array => Float32Array.from({ length: n }, () => normal());
const [L, D, V] = [70, 8, 333];
const data = { x: numbers(L * D), table: numbers(V * D), up: numbers(L * D) };
const ids = Uint32Array.from({ length: L }, (_, i) => (i < 66 ? 300 : i * 4));
const weights = Float32Array.from({ length: L }, (_, i) => (i % 3 === 2 ? 0 : 1 / L));

for (const backend of ['cpu', 'wasm', 'webgpu'] as const) {
  describe(`tables in shards on ${backend}`, async () => {
    const device = await openDevice({ backend });

    /** Runs with the table whole and in shards; gives what `run` gives, and the gradients of x and of the table. */
    async function both(run: (table: Table, x: Tensor) => Tensor, cut = 128): Promise<Float32Array[][]> {
      const results: Float32Array[][] = [];
      for (const inShards of [false, true]) {
        const x = device.tensor(data.x, [L, D], { requiresGrad: true });
        const table = device.tensor(data.table, [V, D], { requiresGrad: true });
        const y = device.scope(() => {
          const out = run(inShards ? sharded(table, cut) : table, x).keep();
          device.tape.backwardFrom(out, () => device.tensor(data.up.subarray(0, out.size), out.shape));
          return out;
        });
        results.push(
          (await Promise.all([y, x.grad as Tensor, table.grad as Tensor].map((t) => t.data()))) as Float32Array[],
        );
        for (const t of [y, x, table]) t.dispose();
      }
      return results;
    }

    it('embedding and its gradient: the same bits', async () => {
      const [whole, parts] = await both((table) => {
        const groups = device.tensor(groupRows(ids, L, L).data);
        return embedding(table, device.tensor(ids), groups);
      });
      expect(parts).toEqual(whole);
      expect(whole[2].some((g) => g !== 0)).toBe(true);
    });

    it('cross-entropy, loss and gradients', async () => {
      const options = { blockElements: 64 * 1024, oneBlockWidth: 64 };
      const targets = Uint32Array.from(ids, (id, i) => (id + 5 * i) % V);
      const [whole, parts] = await both((table, x) =>
        crossEntropy(x, table, device.tensor(targets), device.tensor(weights), options),
      );
      // The GPU works in the same blocks of 64 columns either way. The CPU device keeps its intermediate results in
      // f32 where the table lies in shards.
      if (backend === 'webgpu') expect(parts).toEqual(whole);
      else
        parts.forEach((p, i) => expect(firstMismatch(`result ${i}`, p, whole[i], { abs: 1e-6, rel: 1e-5 })).toBeNull());
    });

    // Not bit for bit: how many columns are multiplied at once decides which variant of the product runs.
    it('scores, for all columns and for some', async () => {
      const states = device.tensor(data.x, [L, D]);
      const table = device.tensor(data.table, [V, D]);
      for (const [from, to] of [
        [0, V],
        [64, 320],
        [256, 333],
      ]) {
        const whole = await tableScores(states, table, from, to).data();
        const parts = await tableScores(states, sharded(table, 128), from, to).data();
        expect(firstMismatch(`columns ${from} to ${to}`, parts, whole, { abs: 1e-6, rel: 1e-5 })).toBeNull();
      }
      expect(() => tableScores(states, table, 5)).toThrow('from a multiple of 64 on, got 5 to 333');
      expect(() => tableScores(table, states, 0, 1)).not.toThrow();
      expect(() => tableScores(states.reshape([D, L]), table)).toThrow('got [8,70] and [333,8]');
    });

    it.each(tiledCases.map((c) => [c.name, c] as const))('ranks by tiles are those of the whole: %s', async (_, c) => {
      const [rows, v] = c.inputs.scores.shape;
      const width = Number(/by (\d+)/.exec(c.name)?.[1]);
      const k = Number(/k (\d+)/.exec(c.name)?.[1]);
      const value = c.inputs.scores.value as (i: number, normal: () => number) => number;
      const scores = device.tensor(
        Float32Array.from({ length: rows * v }, (_, i) => value(i, normal)),
        [rows, v],
      );
      const targets = device.tensor(
        Uint32Array.from({ length: rows }, (_, r) => c.inputs.targets.value?.(r, normal) ?? 0),
      );
      const tiles = rankTiles((from, to) => slice(scores, 1, from, to), v, width, targets, k);
      const whole = topk(scores, k, { targets });
      expect(await tiles.ranks.data()).toEqual(await rankOf(scores, targets).data());
      expect(await tiles.indices.data()).toEqual(await whole.indices.data());
      // −0 and 0 are equal scores.
      const plain = (values: ArrayLike<number>) => Array.from(values, (s) => s + 0);
      expect(plain(await tiles.values.data())).toEqual(plain(await whole.values.data()));
    });

    it('an arena splits a table by rows; one name reads, loads and trains it', async () => {
      const specs = [
        { name: 'items', shape: [V, D], decay: true, init: data.table, table: true },
        { name: 'w', shape: [4, D], decay: true, init: data.x.subarray(0, 4 * D) },
        { name: 'b', shape: [D], decay: false, init: data.x.subarray(0, D) },
      ];
      const options = { beta1: 0.9, beta2: 0.98, eps: 1e-8, weightDecay: 0.1, clip: 0 };
      const status = () => device.tensor(adamwStatus(options));
      const words = new Uint32Array(16);
      new Float32Array(words.buffer)[2] = 0.01;
      device.setState(words);
      const trained: Map<string, Float32Array>[] = [];
      for (const maxBindingBytes of [undefined, 4200]) {
        const arena = new ParameterArena(device, specs, { maxBindingBytes });
        const table = arena.table('items');
        expect(shardsOf(table).map((s) => [s.first, s.rows])).toEqual(
          maxBindingBytes
            ? [
                [0, 128],
                [128, 128],
                [256, 77],
              ]
            : [[0, V]],
        );
        expect(table.shape).toEqual([V, D]);
        for (const { params } of arena.shards) expect(params.size * 4).toBeLessThanOrEqual(maxBindingBytes ?? 1e9);
        if (maxBindingBytes)
          expect(() => arena.get('items')).toThrow("items [333,8] lies in 3 shards; use table('items')");
        else expect(arena.get('items')).toBe(table);
        expect(arena.count).toBe(V * D + 5 * D);
        expect(arena.shapeOf('items')).toEqual([V, D]);
        expect((await arena.read()).get('items')).toEqual(data.table);
        const other = new Map([...(await arena.read())].map(([name, a]) => [name, a.map((x, i) => x + (i % 7))]));
        arena.load('m', other);
        arena.load('params', other);
        expect(await arena.read('m')).toEqual(other);
        expect((await arena.read('v')).get('items')?.every((x) => x === 0)).toBe(true);
        for (const { tensor, first, rows } of shardsOf(table))
          device.write(tensor.grad as Tensor, data.table.subarray(first * D, (first + rows) * D));
        adamwStep(arena, { ...options, status: status() });
        trained.push(await arena.read());
        arena.dispose();
      }
      expect(trained[1]).toEqual(trained[0]);
      const tooWide = { ...specs[1], table: true };
      expect(() => new ParameterArena(device, [tooWide], { maxBindingBytes: 64 })).toThrow('w [4,8] needs');
    });
  });
}

describe('blocks of a table', () => {
  it('lie within its shards', async () => {
    const device = await Device.open({ backend: 'cpu' });
    const tensors = [128, 64, 70].map((rows) => device.zeros([rows, 4]));
    const table = new ShardedTable(tensors, 'table');
    expect(table.shape).toEqual([262, 4]);
    expect(blocksOf(table, 64).map(({ first, at, rows }) => [first, at, rows])).toEqual([
      [0, 0, 64],
      [64, 64, 64],
      [128, 0, 64],
      [192, 0, 64],
      [256, 64, 6],
    ]);
    expect(blocksOf(tensors[2], 64).map(({ first, rows }) => [first, rows])).toEqual([
      [0, 64],
      [64, 6],
    ]);
    expect(() => new ShardedTable([tensors[2], tensors[0]], 'odd')).toThrow(
      'odd: expected shards [rows,4] with a multiple of 64',
    );
    expect(() => new ShardedTable([], 'none')).toThrow('none: expected at least one shard');
  });
});
