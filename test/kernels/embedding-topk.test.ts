/** What the case table cannot express of embeddings and ranks. */
import { describe, expect, it } from 'vitest';
import { embedding, groupRows, rankOf, topk } from '../../engine/index.ts';
import { openDevice } from '../device.ts';

describe.each(['cpu', 'wasm', 'webgpu'] as const)('on %s', async (backend) => {
  const device = await openDevice({ backend });

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
