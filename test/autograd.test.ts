/** What autograd promises whatever the op: shapes of gradients, and no gradient that is lost without a word. */
import { readdirSync, readFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import {
  add,
  addLayernorm,
  attention,
  bceWithLogits,
  concat,
  crossEntropy,
  dropout,
  embedding,
  exp,
  gelu,
  groupRows,
  layernorm,
  matmul,
  max,
  mean,
  type Mixture,
  mixtureOfLogits,
  mul,
  normal,
  normalize,
  rotary,
  rotaryAngles,
  rowDot,
  scale,
  ShardedTable,
  slice,
  softmax,
  sum,
  swiglu,
  type Tensor,
  transpose,
} from '../engine/index.ts';
import { openDevice } from './device.ts';

const values = async (t: Tensor | null | undefined): Promise<number[]> => Array.from(await (t as Tensor).data());

function expectClose(actual: readonly number[], expected: readonly number[], what: string): void {
  expect(actual.length, what).toBe(expected.length);
  expected.forEach((e, i) =>
    expect(Math.abs(actual[i] - e), `${what}[${i}]: ${actual[i]}, expected ${e}`).toBeLessThan(
      1e-4 * (1 + Math.abs(e)),
    ),
  );
}

it('the gradient of a state is read in one place', () => {
  const folder = new URL('../engine/', import.meta.url);
  const offenders = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((f) => f.endsWith('.ts') && !['autograd.ts', 'tensor.ts', 'device.ts'].includes(f))
    .filter((f) => /state\.grad\b(?! = null)/.test(readFileSync(new URL(f, folder), 'utf8')));
  expect(offenders, 'use into(x), gradOf(y) or x.grad, which have the shape of their handle').toEqual([]);
});

describe.each(['cpu', 'wasm', 'webgpu'] as const)('on %s', async (backend) => {
  const device = await openDevice({ backend });

  const leaf = (shape: number[], seed = 1): Tensor =>
    device.tensor(
      normal(
        shape.reduce((a, b) => a * b, 1),
        seed,
        0,
      ),
      shape,
      { label: 'leaf', requiresGrad: true },
    );
  const constant = (shape: number[], seed = 1): Tensor => leaf(shape, seed).detach();
  const u32 = (...data: number[]): Tensor => device.tensor(Uint32Array.from(data));

  describe('a gradient has the shape of its handle', () => {
    it('an embedding whose result is reshaped', async () => {
      const grads: number[][] = [];
      const ids = Uint32Array.of(3, 7, 3, 9, 0, 7);
      for (const reshaped of [true, false]) {
        const table = leaf([10, 4]);
        const groups = device.tensor(groupRows(ids, 6, 6).data);
        const w = constant([8, 2], 2);
        if (reshaped) {
          const e = embedding(table, device.tensor(ids, [3, 2]), groups);
          sum(matmul(e.reshape([3, 8]), w)).backward();
        } else {
          // Position i times the i-th half of w.
          const e = embedding(table, device.tensor(ids, [6]), groups);
          const even = concat(
            [0, 2, 4].map((i) => slice(e, 0, i, i + 1)),
            0,
          );
          const odd = concat(
            [1, 3, 5].map((i) => slice(e, 0, i, i + 1)),
            0,
          );
          const halves = [matmul(even, slice(w, 0, 0, 4)), matmul(odd, slice(w, 0, 4, 8))];
          sum(add(halves[0], halves[1])).backward();
        }
        expect(table.grad?.shape).toEqual([10, 4]);
        grads.push(await values(table.grad));
      }
      expectClose(grads[0], grads[1], 'dtable');
    });

    it.each([undefined, 'shards'])('cross-entropy by blocks of items, of a reshaped state, table %s', async (how) => {
      const grads: number[][][] = [];
      for (const reshaped of [true, false]) {
        const [l, d, v] = [4, 4, 130];
        const x = reshaped ? leaf([2, 2, 4]) : leaf([l, d]);
        const y = scale(x, 1);
        const state = y.reshape([l, d]);
        const table = leaf([v, d], 2);
        const parts = how
          ? [0, 64, 128].map((from) => {
              const part = table.detach().rows(from, Math.min(v, from + 64));
              device.makeLeaf(part, table.grad?.rows(from, Math.min(v, from + 64)));
              return part;
            })
          : [];
        const whole = how ? new ShardedTable(parts, 'table') : table;
        const loss = crossEntropy(state, whole, u32(5, 100, 129, 0), constant([l], 3), {
          oneBlockWidth: 64,
          blockElements: 64 * 1024,
        });
        // A use that writes the gradient in the other shape first.
        add(sum(mul(y, y)), loss.reshape([])).backward();
        grads.push([await values(x.grad), await values(table.grad)]);
      }
      expectClose(grads[0][0], grads[1][0], 'dx');
      expectClose(grads[0][1], grads[1][1], 'dtable');
    });

    it('the gradient that skips an activation', async () => {
      for (const activation of ['relu', 'silu'] as const) {
        const grads: number[][] = [];
        for (const reshaped of [true, false]) {
          const x = leaf([4, 8]);
          const h = matmul(x, constant([8, 8], 2), { activation });
          // [4, 8] as [8, 4]: both uses see the same products of rows of four.
          const w = constant([4, 4], 3);
          const second = reshaped
            ? matmul(h.reshape([8, 4]), w)
            : concat([matmul(slice(h, 1, 0, 4), w), matmul(slice(h, 1, 4, 8), w)], 1);
          const whole = matmul(h, constant([8, 8], 4));
          add(sum(second), sum(add(whole, mul(h, h)))).backward();
          grads.push(await values(x.grad));
        }
        expectClose(grads[0], grads[1], activation);
      }
    });

    /** Ops of x [8, 12] that read its shape; each is given a view of a leaf [96] or [2, 4, 12] and must agree. */
    const ops: Record<string, (x: Tensor) => Tensor> = {
      add: (x) => add(x, x),
      'add of a row': (x) => add(constant([8, 12], 5), x),
      attention: (x) =>
        attention(x, { start: u32(...Array(8).fill(0)), end: u32(...Array(8).fill(8)) }, { heads: 1, causal: true }),
      addLayernorm: (x) => {
        const { sum: s, norm } = addLayernorm(x, constant([8, 12], 5), constant([12], 6), constant([12], 7));
        return add(s, norm);
      },
      bceWithLogits: (x) => bceWithLogits(x, constant([8, 12], 5), constant([8, 12], 6)),
      concat: (x) => concat([x, x], 1),
      dropout: (x) => dropout(x, 0.5),
      exp: (x) => exp(x),
      gelu: (x) => gelu(x),
      layernorm: (x) => layernorm(x, constant([12], 6), constant([12], 7)),
      'matmul, a': (x) => matmul(x, constant([12, 3], 5)),
      'matmul, aT': (x) => matmul(x, constant([8, 3], 5), { transA: true }),
      'matmul, b': (x) => matmul(constant([3, 8], 5), x),
      'matmul, bT': (x) => matmul(constant([3, 12], 5), x, { transB: true }),
      max: (x) => max(x, 'last'),
      mean: (x) => mean(x, 'last'),
      mul: (x) => mul(x, constant([8, 12], 5)),
      normalize: (x) => normalize(x),
      rotary: (x) => rotary(x, u32(0, 1, 2, 3, 4, 5, 6, 7), device.tensor(rotaryAngles(8, 4), [8, 4]), 1),
      rowDot: (x) => rowDot(x, constant([8, 12], 5)),
      slice: (x) => slice(x, 1, 3, 7),
      softmax: (x) => softmax(x),
      sum: (x) => sum(x, 'last'),
      transpose: (x) => transpose(x),
    };
    it.each(Object.entries(ops))('%s of a view, beside a use in the other shape', async (_, op) => {
      const grads: number[][] = [];
      for (const shape of [[8, 12], [96], [2, 4, 12]]) {
        const x = leaf(shape);
        const inside = scale(x, 2); // not a leaf: its gradient is made in the shape of whoever asks first
        device.opCounter = 0;
        const y = op(inside.reshape([8, 12]));
        add(sum(mul(y, constant([...y.shape], 9))), sum(mul(inside, inside))).backward();
        expect(x.grad?.shape).toEqual(shape);
        grads.push(await values(x.grad));
      }
      expectClose(grads[1], grads[0], 'dx of [96]');
      expectClose(grads[2], grads[0], 'dx of [2,4,12]');
    });

    it('swiglu of a view', async () => {
      const grads: number[][] = [];
      for (const shape of [[4, 16], [64]]) {
        const x = leaf(shape);
        const y = scale(x, 1);
        add(sum(swiglu(y.reshape([4, 16]))), sum(y)).backward();
        grads.push(await values(x.grad));
      }
      expectClose(grads[1], grads[0], 'dx');
    });
  });

  describe('matmul', () => {
    it.each([
      [true, false],
      [true, true],
      [false, false],
      [false, true],
    ])('has the gradient of its bias with transA %s and transB %s', async (transA, transB) => {
      for (const [m, n, k] of [
        [12, 8, 16],
        [40, 64, 36],
      ]) {
        const a = leaf(transA ? [k, m] : [m, k]);
        const b = leaf(transB ? [n, k] : [k, n], 2);
        const bias = leaf([n], 3);
        const w = constant([m, n], 4);
        sum(mul(matmul(a, b, { transA, transB, bias }), w)).backward();
        const up = await values(w);
        const expected = Array.from({ length: n }, (_, c) =>
          Array.from({ length: m }, (_, r) => up[r * n + c]).reduce((x, y) => x + y, 0),
        );
        expectClose(await values(bias.grad), expected, `dbias, ${m} x ${n} x ${k}`);
      }
    });

    it('has the gradient of a bias that was computed', async () => {
      const bias = leaf([8]);
      sum(matmul(constant([4, 8]), leaf([8, 8], 2), { bias: scale(bias, 3) })).backward();
      expectClose(await values(bias.grad), Array(8).fill(12), 'dbias');
    });
  });

  describe('ops that go over parts', () => {
    it('cross-entropy by blocks of rows and items, of a state with itself as the table', async () => {
      const [l, d] = [130, 4];
      const run = (x: Tensor, table: Tensor) =>
        crossEntropy(x, table, device.tensor(Uint32Array.from({ length: l }, (_, i) => l - 1 - i)), constant([l], 3), {
          oneBlockWidth: 64,
          blockElements: 64 * 64,
        }).backward();
      const [tied, x, table] = [leaf([l, d]), leaf([l, d]), leaf([l, d])];
      run(scale(tied, 1), tied);
      run(scale(x, 1), table);
      const apart = await values(table.grad);
      expectClose(
        await values(tied.grad),
        (await values(x.grad)).map((g, i) => g + apart[i]),
        'one after the other',
      );
      const both = leaf([l, d]);
      const y = scale(both, 1);
      run(y, y.reshape([l, d]));
      expectClose(await values(both.grad), await values(tied.grad), 'shared');
    });

    const mixture = (): Record<keyof Mixture, Tensor> => ({
      users: leaf([130, 2, 4], 1),
      items: leaf([1, 3, 4, 4], 2),
      userGate: leaf([130, 8], 3),
      itemGate: leaf([1, 3, 8], 4),
      up: leaf([8, 4], 5),
      bias: leaf([4], 6),
      down: leaf([4, 8], 7),
    });
    it.each(['up', 'bias', 'down', 'users', 'items', 'userGate', 'itemGate'] as const)(
      'a mixture of logits whose %s was computed, alone or beside the others',
      async (name) => {
        const grads: number[][] = [];
        for (const how of ['leaf', 'computed', 'alone']) {
          const m = mixture();
          const found = m[name];
          if (how === 'alone')
            for (const key of Object.keys(m) as (keyof Mixture)[]) if (key !== name) m[key] = m[key].detach();
          if (how !== 'leaf') m[name] = scale(found, 1);
          sum(mixtureOfLogits(m, { scale: 2, blockElements: 8 * 3 * 64 })).backward();
          grads.push(await values(found.grad));
        }
        expectClose(grads[1], grads[0], 'computed');
        expectClose(grads[2], grads[0], 'alone');
      },
    );

    it('nothing at all gives gradients of zero', async () => {
      const [table, weight, bias] = [leaf([10, 4]), leaf([4], 2), leaf([4], 3)];
      const none = device.tensor(new Uint32Array(0));
      const groups = device.tensor(groupRows(new Uint32Array(0), 0, 0).data);
      const x = embedding(table, none, groups);
      expect(x.shape).toEqual([0, 4]);
      sum(layernorm(x, weight, bias)).backward();
      for (const t of [table, weight, bias]) expect((await values(t.grad)).every((g) => g === 0)).toBe(true);
    });
  });

  describe('no gradient is lost without a word', () => {
    it('a tensor of a spent pass is refused, and its detach() is a constant', async () => {
      const w = leaf([4]);
      const y = scale(w, 2);
      sum(y).backward();
      expect(() => sum(y)).toThrow(
        'sum: scale [4] belongs to a forward pass that an earlier backward() spent, so its gradient would be lost; compute it again, or take its values alone: detach()',
      );
      expect(device.noGrad(() => sum(y)).requiresGrad).toBe(false);
      const v = leaf([4], 2);
      sum(mul(y.detach(), v)).backward();
      expectClose(await values(v.grad), await values(y), 'dv');
      expectClose(await values(w.grad), [2, 2, 2, 2], 'dw');
    });

    it('two losses of one pass: independent ones both work, those that share a tensor are refused', async () => {
      const [a, b] = [leaf([4]), leaf([4], 2)];
      const [first, second] = [sum(scale(a, 2)), sum(scale(b, 3))];
      first.backward();
      second.backward();
      expectClose([...(await values(a.grad)), ...(await values(b.grad))], [2, 2, 2, 2, 3, 3, 3, 3], 'gradients');
      const y = scale(a, 2);
      const [left, right] = [sum(y), mean(y)];
      left.backward();
      expect(() => right.backward()).toThrow(
        'backward: a tensor that mean depends on belongs to a forward pass that an earlier backward() spent; add the losses up for one backward()',
      );
    });

    it('a backward pass inside of a scope leaves the pass around it alone', async () => {
      const [w, v] = [leaf([4]), leaf([4], 2)];
      const loss = sum(scale(w, 2));
      device.scope(() => sum(scale(v, 3)).backward());
      loss.backward();
      expectClose(await values(w.grad), [2, 2, 2, 2], 'dw');
      expectClose(await values(v.grad), [3, 3, 3, 3], 'dv');
      const outer = sum(scale(w, 5));
      device.scope(() => outer.backward());
      expectClose(await values(w.grad), [7, 7, 7, 7], 'dw');
      expect(() => outer.backward()).toThrow('an earlier backward() spent');
    });

    it('what a scope kept is values alone afterwards', () => {
      const w = leaf([4]);
      const kept = device.scope(() => scale(w, 2).keep());
      expect(() => device.scope(() => sum(kept).backward())).toThrow(
        'sum: scale [4] was made in a scope that has ended, so its gradient would be lost',
      );
      const loss = device.scope(() => sum(w).keep());
      expect(() => loss.backward()).toThrow(
        'backward: a tensor that sum depends on was made in a scope that has ended',
      );
      expect(device.scope(() => sum(mul(kept.detach(), w)).requiresGrad)).toBe(true);
    });

    it('a constant that an op differentiates in passing can be used again', async () => {
      const [w, c] = [leaf([4, 4]), constant([4, 4], 2)];
      for (let i = 0; i < 2; i++) device.scope(() => sum(mul(w, c)).backward());
      expect(c.grad).toBe(null);
      expectClose(
        await values(w.grad),
        (await values(c)).map((x) => 2 * x),
        'dw',
      );
    });

    it('backward() of a leaf is refused and leaves its gradient where it was', () => {
      const w = leaf([1]);
      const { storage } = w.grad as Tensor;
      expect(() => w.backward()).toThrow('backward: leaf [1] is a leaf, which no op made');
      expect(w.grad?.storage).toBe(storage);
      expect(() => device.makeLeaf(scale(w, 2))).toThrow('makeLeaf: scale [1] was computed from leaves');
    });

    it('a gradient of another size is refused', () => {
      const y = scale(leaf([4]), 2);
      expect(() => device.tape.backwardFrom(y, () => device.zeros([3]))).toThrow(
        'backward: expected a gradient f32 [4] of scale, got f32 [3]',
      );
    });

    it('rows of a tensor that requires a gradient are refused', () => {
      const x = leaf([4, 64]);
      expect(() => x.rows(0, 2)).toThrow(
        'rows: leaf [4,64] requires a gradient, which a view would not pass on; use slice(x, 0, 0, 2)',
      );
      expect(x.detach().rows(0, 2).shape).toEqual([2, 64]);
      expect(device.noGrad(() => x.rows(1, 2)).shape).toEqual([1, 64]);
    });

    it.each([1, 4, 12, 130, 256])('groups of other ids give NaN in the rows concerned, width %i', async (d) => {
      // One row of many positions, which is split, and rows of one or two.
      const ids = Uint32Array.from({ length: 100 }, (_, i) => (i < 70 ? 9 : 10 + (i % 20)));
      for (const wrong of [0, 3, 69, 70, 99]) {
        const table = leaf([40, d]);
        const others = ids.slice();
        others[wrong] = 33;
        const groups = device.tensor(groupRows(ids, 100, 100).data);
        sum(embedding(table, device.tensor(others), groups)).backward();
        const grad = await values(table.grad);
        const bad = Array.from({ length: 40 }, (_, row) => grad.slice(row * d, (row + 1) * d).some(Number.isNaN));
        expect(
          bad.flatMap((b, row) => (b ? [row] : [])),
          `position ${wrong}`,
        ).toEqual([ids[wrong]]);
      }
    });

    it('groups written before a replay are held against the ids of that run', async () => {
      const table = leaf([40, 8]);
      const [ids, groups] = [u32(1, 2, 3), device.tensor(groupRows(Uint32Array.of(1, 2, 3), 3, 3).data)];
      const program = device.program('lookup', () => {
        sum(embedding(table, ids, groups)).backward();
        return {};
      });
      program.run();
      expect((await values(table.grad)).some(Number.isNaN)).toBe(false);
      device.write(ids, Uint32Array.of(1, 5, 3));
      program.run();
      const grad = await values(table.grad);
      expect(grad.slice(16, 24).some(Number.isNaN)).toBe(true);
      expect(grad.slice(40, 48).every((g) => g === 0)).toBe(true);
      program.dispose();
    });

    it('async functions are refused where the work must be done at once', async () => {
      const freed: Tensor[] = [];
      const later = async () => {
        freed.push(device.zeros([4]));
        await null;
        return scale(freed[0], 2);
      };
      const expected = ': the function returned a promise, but its work must be done when it returns';
      expect(() => device.scope(later)).toThrow(`scope${expected}`);
      expect(() => device.noGrad(later)).toThrow(`noGrad${expected}`);
      expect(() => device.withPrecision('f32', later)).toThrow(`withPrecision${expected}`);
      const program = device.program('late', later as unknown as () => Record<string, Tensor>);
      expect(() => program.run()).toThrow('the function returned a promise');
      expect(device.tape.enabled).toBe(true);
      expect(() => scale(freed[0], 2)).toThrow('was freed');
      await new Promise((resolve) => setTimeout(resolve, 1));
    });

    it('forward passes that nobody differentiates are collected', async () => {
      setFlagsFromString('--expose-gc');
      const collect = runInNewContext('gc') as () => void;
      const w = leaf([4]);
      const left = Array.from({ length: 20 }, () => new WeakRef(sum(scale(w, 2)).state.node as object));
      await new Promise((resolve) => setTimeout(resolve, 0));
      collect();
      expect(left.filter((node) => node.deref()).length).toBeLessThan(5);
    });
  });
});
