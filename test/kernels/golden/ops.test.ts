/** Single ops against PyTorch (test/golden/make.py): results, and gradients for a given upstream gradient. */
import { describe, expect, it } from 'vitest';
import {
  attention,
  bceWithLogits,
  crossEntropy,
  type Device,
  embedding,
  gelu,
  groupRows,
  layernorm,
  relu,
  sigmoid,
  silu,
  softmax,
  type Tensor,
} from '../../../engine/index.ts';
import golden from '../../golden/ops.json' with { type: 'json' };
import { both } from '../devices.ts';
import { firstMismatch } from '../harness.ts';

const { tensors, config } = golden as {
  tensors: Record<string, { shape: number[]; data: number[] }>;
  config: typeof golden.config;
};

interface Row {
  name: string;
  /** Inputs with a gradient (golden name dX for x), and the others. */
  inputs: string[];
  fixed?: string[];
  run(t: Record<string, Tensor>, device: Device): Tensor;
  tolerance?: { abs: number; rel: number };
}

const WHOLE = ['index', 'targets', 'start', 'end'];
const attend =
  (causal: boolean) =>
  ({ qkv, start, end }: Record<string, Tensor>): Tensor =>
    attention(qkv, { start, end }, { heads: config.attention.H, causal });
const rows: Row[] = [
  {
    name: 'layernorm',
    inputs: ['x', 'weight', 'bias'],
    run: (t) => layernorm(t.x, t.weight, t.bias, config.layernormEps),
  },
  { name: 'gelu', inputs: ['x'], run: (t) => gelu(t.x) },
  { name: 'silu', inputs: ['x'], run: (t) => silu(t.x) },
  { name: 'relu', inputs: ['x'], run: (t) => relu(t.x) },
  { name: 'sigmoid', inputs: ['x'], run: (t) => sigmoid(t.x) },
  { name: 'softmax', inputs: ['x'], run: (t) => softmax(t.x) },
  {
    name: 'catalogueCrossEntropy',
    inputs: ['h', 'table'],
    fixed: ['targets', 'weights'],
    run: (t) => crossEntropy(t.h, t.table, t.targets, t.weights),
  },
  {
    name: 'embedding',
    inputs: ['table'],
    fixed: ['index'],
    run: (t, device) => {
      const index = Uint32Array.from(tensors['embedding.index'].data);
      return embedding(t.table, t.index, device.tensor(groupRows(index, index.length, index.length).data));
    },
  },
  {
    name: 'attentionCausal',
    inputs: ['qkv'],
    fixed: ['start', 'end'],
    run: attend(true),
    tolerance: { abs: 1e-4, rel: 1e-4 },
  },
  {
    name: 'attentionFull',
    inputs: ['qkv'],
    fixed: ['start', 'end'],
    run: attend(false),
    tolerance: { abs: 1e-4, rel: 1e-4 },
  },
];

const load = (device: Device, name: string, key: string, requiresGrad: boolean): Tensor => {
  const { shape, data } = tensors[`${name}.${key}`];
  return device.tensor(WHOLE.includes(key) ? Uint32Array.from(data) : data, shape, { label: key, requiresGrad });
};

describe.each(both)('PyTorch on %s', (_, open) => {
  it.each(rows)('$name', async ({ name, inputs, fixed = [], run, tolerance = { abs: 1e-5, rel: 1e-5 } }) => {
    const device = open();
    const t: Record<string, Tensor> = {};
    for (const key of inputs) t[key] = load(device, name, key, true);
    for (const key of fixed) t[key] = load(device, name, key, false);
    const y = run(t, device);
    expect(firstMismatch(name, await y.data(), Float32Array.from(tensors[`${name}.out`].data), tolerance)).toBeNull();
    device.tape.backwardFrom(y, () => load(device, name, 'dOut', false));
    for (const key of inputs) {
      const expected = tensors[`${name}.d${key[0].toUpperCase()}${key.slice(1)}`];
      const grad = t[key].grad as Tensor;
      expect(grad.shape).toEqual(expected.shape);
      expect(firstMismatch(`d${key}`, await grad.data(), Float32Array.from(expected.data), tolerance)).toBeNull();
    }
  });

  it('bceWithLogits', async () => {
    // PyTorch's has no sum: our weights play the part of its upstream gradient.
    const device = open();
    const [x, target, out, upstream, dX] = ['x', 'target', 'out', 'dOut', 'dX'].map(
      (key) => tensors[`bceWithLogits.${key}`].data,
    );
    const logits = device.tensor(x, undefined, { requiresGrad: true });
    const loss = bceWithLogits(logits, device.tensor(target), device.tensor(upstream));
    const expected = out.reduce((sum, v, i) => sum + v * upstream[i], 0);
    expect(Math.abs((await loss.item()) - expected)).toBeLessThan(1e-4);
    loss.backward();
    expect(
      firstMismatch('dx', await (logits.grad as Tensor).data(), Float32Array.from(dX), { abs: 1e-6, rel: 1e-5 }),
    ).toBeNull();
  });
});
