/** Multi-head cross-attention with its projections against torch.nn.MultiheadAttention (test/golden/make.py). */
import { expect, it } from 'vitest';
import { crossAttention, crossBounds, matmul, type Tensor } from '../../../engine/index.ts';
import golden from '../../golden/cross.json' with { type: 'json' };
import { both, cpu } from '../devices.ts';
import { firstMismatch } from '../harness.ts';

const { config } = golden;
const tensors = golden.tensors as Record<string, { shape: number[]; data: number[] }>;
const offsets = (lengths: number[]): number[] => {
  let at = 0;
  return [0, ...lengths.map((n) => (at += n))];
};
const LEAVES = {
  x: 'dX',
  states: 'dStates',
  'query.weight': 'query.dWeight',
  'query.bias': 'query.dBias',
  'keyvalue.weight': 'keyvalue.dWeight',
  'keyvalue.bias': 'keyvalue.dBias',
  'out.weight': 'out.dWeight',
  'out.bias': 'out.dBias',
};

it.each(both)('PyTorch on %s', async (_, open) => {
  const device = open();
  const load = (key: string, requiresGrad = false): Tensor =>
    device.tensor(tensors[key].data, tensors[key].shape, { label: key, requiresGrad });
  const t = Object.fromEntries(Object.keys(LEAVES).map((key) => [key, load(key, true)]));
  const [l, m] = [t.x.shape[0], t.states.shape[0]];
  const b = crossBounds(offsets(config.queries), offsets(config.keys), l, m);
  const bounds = {
    start: device.tensor(b.start),
    end: device.tensor(b.end),
    from: device.tensor(b.from),
    to: device.tensor(b.to),
  };
  const linear = (x: Tensor, name: string): Tensor => matmul(x, t[`${name}.weight`], { bias: t[`${name}.bias`] });
  const mixed = crossAttention(linear(t.x, 'query'), linear(t.states, 'keyvalue'), bounds, { heads: config.H });
  const y = linear(mixed, 'out');
  const tolerance = { abs: 2e-5, rel: 1e-4 };
  expect(firstMismatch('out', await y.data(), Float32Array.from(tensors.out.data), tolerance)).toBeNull();
  device.tape.backwardFrom(y, () => load('dOut'));
  for (const [key, name] of Object.entries(LEAVES)) {
    const grad = await (t[key].grad as Tensor).data();
    expect(firstMismatch(name, grad, Float32Array.from(tensors[name].data), tolerance)).toBeNull();
  }
});

it('names the shapes that do not fit', () => {
  const device = cpu;
  const u32 = (n: number): Tensor => device.tensor(new Uint32Array(n));
  const bounds = { start: u32(3), end: u32(3), from: u32(5), to: u32(5) };
  const q = device.zeros([3, 8]);
  expect(() => crossAttention(q, device.zeros([5, 8]), bounds, { heads: 2 })).toThrow(
    'crossAttention: expected q [L, D] and kv [M, 2D], got q [3,8], kv [5,8]',
  );
  expect(() => crossAttention(q, device.zeros([5, 16]), bounds, { heads: 4 })).toThrow('4 heads whose width is a');
  expect(() => crossAttention(q, device.zeros([4, 16]), bounds, { heads: 2 })).toThrow('expected from u32 [4]');
  expect(() => crossBounds([0, 2], [0, 3, 4], 2, 4)).toThrow('as many offsets of queries');
  expect(() => crossBounds([0, 2], [0, 3], 1, 4)).toThrow('as many offsets of queries, at most 1');
});
