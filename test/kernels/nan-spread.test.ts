/**
 * How far a NaN reaches where a kernel multiplies it by 0: the rows that the head comments of attention_*_sg*.wgsl,
 * attention_bwd_*_panel.wgsl and ce_grad.wgsl name, and none beyond. That none is lost is nan.test.ts's part.
 */
import { describe, expect, it } from 'vitest';
import { attention, crossEntropy, type Device, type NumericArray, sum } from '../../engine/index.ts';
import { spansOf } from './cases/attention.ts';
import { double, gpu } from './devices.ts';
import { random } from './harness.ts';

const normals = (n: number, nanAt: number): Float32Array => {
  const { normal } = random(n);
  return Float32Array.from({ length: n }, (_, i) => (i === nanAt ? Number.NaN : normal()));
};
/** The rows [from, from + width) of each `stride` elements that hold a NaN. */
const rowsOf = (x: NumericArray, stride: number, from = 0, width = stride): Set<number> =>
  new Set(
    Array.from({ length: x.length / stride }, (_, i) => i).filter((i) =>
      x.subarray(i * stride + from, i * stride + from + width).some(Number.isNaN),
    ),
  );

describe('attention', () => {
  const K = 32;
  const LENGTHS = [5, 30, 3, 40, 18];
  const UNUSED = 4;
  const spans = spansOf(LENGTHS, UNUSED);
  const [start, end] = [Uint32Array.from(spans.start), Uint32Array.from(spans.end)];
  const L = start.length;

  async function run(device: Device, causal: boolean, nanAt: number) {
    const qkv = device.tensor(normals(L * 3 * K, nanAt), [L, 3 * K], { requiresGrad: true });
    const bounds = { start: device.tensor(start), end: device.tensor(end) };
    const o = attention(qkv, bounds, { heads: 1, causal });
    sum(o).backward();
    const [out, grad] = [await o.data(), (await qkv.grad?.data()) ?? []] as NumericArray[];
    return { o: rowsOf(out, K), ...parts((from) => rowsOf(grad, 3 * K, from, K)) };
  }
  const parts = <T>(of: (from: number) => T) => ({ dq: of(0), dk: of(K), dv: of(2 * K) });

  /** What rows of a block of `size` read of the other side, from the first to the last that one of them attends to. */
  function window(row: number, size: number, of: (i: number) => [number, number], round: number): [number, number] {
    const block = Math.floor(row / size) * size;
    const spans = Array.from({ length: Math.min(size, L - block) }, (_, r) => of(block + r)).filter(([a, b]) => b > a);
    const first = Math.min(...spans.map(([a]) => a));
    const begin = first - (first % round);
    return [begin, begin + 4 * Math.ceil((Math.max(...spans.map(([, b]) => b)) - begin) / 4)];
  }
  const rows = Array.from({ length: L }, (_, i) => i);
  /** The rows that may hold a NaN by the kernels' comments, for one in row t. */
  function reached(causal: boolean, t: number, [forward, backward, round]: readonly [number, number, number]) {
    const keys = (i: number): [number, number] => [start[i], causal ? Math.min(end[i], i + 1) : end[i]];
    const queries = (j: number): [number, number] => [causal ? Math.max(start[j], j) : start[j], end[j]];
    const holds = ([a, b]: [number, number], x: number): boolean => a <= x && x < b;
    const o = new Set(rows.filter((i) => i === t || holds(window(i, forward, keys, 4), t)));
    const dq = new Set(rows.filter((i) => o.has(i) || holds(window(i, backward, keys, round), t)));
    const dkv = new Set(rows.filter((j) => j === t || [...o].some((i) => holds(window(j, backward, queries, 1), i))));
    return { o, dq, dk: dkv, dv: dkv };
  }

  const KERNELS = ['attention_fwd', 'attention_bwd_dq', 'attention_bwd_dkv'];
  /** Rows of a workgroup in the forward and in the backward kernels, and the multiple that keys are read from in dq. */
  const BLOCKS = { sg8: [16, 8, 4], sg4: [8, 8, 4], panel: [16, 32, 2], tile: [64, 64, 1] } as const;
  describe.each(['sg8', 'sg4', 'panel', 'tile'] as const)('%s', (variant) => {
    for (const causal of [true, false])
      for (const part of [0, 1, 2])
        for (const t of [2, 9, 36, 50, 95])
          it(`a NaN in ${'qkv'[part]} of row ${t}, causal ${causal}`, async ({ skip }) => {
            const nanAt = t * 3 * K + part * K + 7;
            for (const name of KERNELS) {
              const file = name === 'attention_fwd' && variant === 'panel' ? 'sg8' : variant;
              gpu.gpu?.variants.forced.set(name, `${name}_${file}`);
            }
            try {
              const [seen, least] = [await run(gpu, causal, nanAt), await run(double, causal, nanAt)];
              const most = variant === 'tile' ? least : reached(causal, t, BLOCKS[variant]);
              for (const name of ['o', 'dq', 'dk', 'dv'] as const) {
                const lost = [...least[name]].filter((i) => !seen[name].has(i));
                const beyond = [...seen[name]].filter((i) => !most[name].has(i));
                expect({ name, lost, beyond }).toEqual({ name, lost: [], beyond: [] });
              }
            } catch (error) {
              if (!/no variant runs/.test(String(error))) throw error;
              skip(`not an adapter for ${variant}`);
            } finally {
              gpu.gpu?.variants.forced.clear();
            }
          });
  });
});

it('cross-entropy: a NaN in a row of weight 0 reaches its column of the gradient of the table, and nothing else', async () => {
  const [L, D, V] = [8, 12, 20];
  const [row, column] = [3, 5];
  const x = gpu.tensor(normals(L * D, row * D + column), [L, D], { requiresGrad: true });
  const table = gpu.tensor(normals(V * D, -1), [V, D], { requiresGrad: true });
  const targets = gpu.tensor(Uint32Array.from({ length: L }, (_, i) => i));
  const weights = gpu.tensor(Float32Array.from({ length: L }, (_, i) => (i === row ? 0 : 1 / L)));
  const loss = crossEntropy(x, table, targets, weights);
  loss.backward();
  expect(Number.isNaN(await loss.item())).toBe(false);
  expect(rowsOf((await x.grad?.data()) ?? new Float32Array(0), D)).toEqual(new Set());
  const gradient = (await table.grad?.data()) ?? new Float32Array(0);
  expect(gradient.length).toBe(V * D);
  expect([...gradient.keys()].filter((i) => Number.isNaN(gradient[i]) !== (i % D === column))).toEqual([]);
});
