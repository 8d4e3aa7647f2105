/** What the ops of these groups say to wrong calls, and gradients that the case table cannot express. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  addLayernorm,
  Device,
  embedding,
  embeddingSum,
  groupRows,
  layernorm,
  maskSeen,
  rankOf,
  rowGroupLayout,
  topk,
} from '../../engine/index.ts';

describe.each(['cpu', 'webgpu'] as const)('on %s', (backend) => {
  let device: Device;
  beforeAll(async () => {
    device = await Device.open({ backend });
  });
  afterAll(() => device.close());
  const zeros = (...shape: number[]) => device.zeros(shape);
  const u32 = (n: number) => device.tensor(new Uint32Array(n));

  it('layernorm names both shapes', () => {
    expect(() => layernorm(zeros(3, 4), zeros(5), zeros(4))).toThrow(
      'layernorm: expected weight and bias [4], got [5]',
    );
    expect(() => addLayernorm(zeros(3, 4), zeros(3, 5), zeros(4), zeros(4))).toThrow(
      'addLayernorm: shapes differ, x [3,4] + r [3,5]',
    );
    const x = zeros(3, 4);
    expect(() => addLayernorm(x, x.reshape([3, 4]), zeros(4), zeros(4))).toThrow('the same tensor');
    expect(() => addLayernorm(x, zeros(3, 4), zeros(4), zeros(4), { dropout: 1 })).toThrow(
      'expected a dropout in [0, 1), got 1',
    );
  });

  it('embedding asks for groups where a gradient is wanted, and for the right ones', () => {
    const table = device.tensor(new Float32Array(12), [3, 4], { requiresGrad: true, label: 'items' });
    expect(() => embedding(table, u32(5))).toThrow(
      'embedding: items requires a gradient, so the row groups of its ids are needed',
    );
    expect(() => embedding(table, u32(5), u32(7))).toThrow(
      `expected row groups u32 [${rowGroupLayout(5).words}] for ids [5], got u32 [7]`,
    );
    expect(device.noGrad(() => embedding(table, u32(5))).shape).toEqual([5, 4]);
    expect(() => embedding(table, zeros(5))).toThrow('embedding: expected u32 ids, got f32 [5]');
    expect(() => embedding(zeros(4), u32(5))).toThrow('embedding: expected a table [V,D], got [4]');
    expect(() => embeddingSum(zeros(3, 4), u32(5), undefined, zeros(3, 5), u32(5), undefined)).toThrow(
      'embeddingSum: widths differ, [3,4] and [3,5]',
    );
    expect(() => embeddingSum(zeros(3, 4), u32(5), undefined, zeros(3, 4), u32(6), undefined)).toThrow(
      'embeddingSum: lengths differ, [5] and [6]',
    );
  });

  it('positions that the groups leave out give no gradient, and twice the same bits', async () => {
    const ids = Uint32Array.from({ length: 300 }, (_, i) => i % 3);
    const grads: unknown[] = [];
    for (let run = 0; run < 2; run++) {
      const table = device.tensor(new Float32Array(16), [4, 4], { requiresGrad: true });
      const x = embedding(table, device.tensor(ids), device.tensor(groupRows(ids, 200, 300).data));
      device.tape.backwardFrom(x, () =>
        device.tensor(
          Float32Array.from({ length: 1200 }, (_, i) => (i < 800 ? 1 / (1 + (i >> 2)) : 1e9)),
          [300, 4],
        ),
      );
      grads.push(await table.grad?.data());
    }
    const [once, twice] = grads as Float32Array[];
    let expected = 0;
    for (let i = 0; i < 200; i += 3) expected += 1 / (1 + i);
    expect(once[0]).toBeCloseTo(expected, 5);
    expect([...once.subarray(12)]).toEqual([0, 0, 0, 0]);
    expect(twice).toEqual(once);
  });

  it('ranking names what came', () => {
    expect(() => topk(zeros(2, 3), 129)).toThrow('topk: expected k from 1 to 128, got 129');
    expect(() => topk(zeros(2, 3), 2, { targets: u32(3) })).toThrow(
      'topk: expected targets u32 [2] for scores [2,3], got u32 [3]',
    );
    expect(() => topk(zeros(6), 2)).toThrow('expected scores f32 [R,V] with V ≥ 1, got f32 [6]');
    expect(() => rankOf(zeros(2, 3), zeros(2))).toThrow('rankOf: expected targets u32 [2]');
    expect(() => maskSeen(zeros(2, 3), { offsets: u32(2), items: u32(4) })).toThrow(
      'maskSeen: expected offsets u32 [3]',
    );
    const leaf = device.tensor([1, 2], [1, 2], { requiresGrad: true });
    expect(() => maskSeen(leaf, { offsets: u32(2), items: u32(1) })).toThrow('use noGrad');
  });

  it('a NaN score makes the rank 0, masked or missing targets have none, ties count against the target', async () => {
    const scores = device.tensor([3, 1, 3, 2, Number.NaN, 1, 0, 0, -3e38, 1, 1, 1, 5, 5, 5, 5], [4, 4]);
    expect([...(await rankOf(scores, device.tensor(Uint32Array.of(2, 1, 0, 9))).data())]).toEqual([
      2, 0, 0xffffffff, 0xffffffff,
    ]);
    expect([...(await topk(scores, 4, { targets: device.tensor(Uint32Array.of(0, 9, 9, 1)) }).indices.data())]).toEqual(
      [2, 0, 3, 1, 1, 2, 3, 0xffffffff, 1, 2, 3, 0xffffffff, 0, 2, 3, 1],
    );
  });
});
