/** Single ops against PyTorch (test/golden/make.py): results, and gradients for a given upstream gradient. */
import { describe, expect, it } from 'vitest';
import {
  attention,
  bceWithLogits,
  crossEntropy,
  type Device,
  embedding,
  gelu,
  layernorm,
  relu,
  sigmoid,
  silu,
  softmax,
  type Tensor,
} from '../../../engine/index.ts';
import file from '../../golden/ops.json' with { type: 'json' };
import { backends } from '../devices.ts';
import { expectNear, Golden, type Tolerance } from './golden.ts';

const { config } = file;
const golden = new Golden(file);

interface Row {
  name: string;
  /** Inputs with a gradient (golden name dX for x), and the others. */
  inputs: string[];
  fixed?: string[];
  run(t: Record<string, Tensor>, device: Device): Tensor;
  tolerance?: Tolerance;
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
    run: (t, device) => embedding(t.table, t.index, golden.groups(device, 'embedding.index')),
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

describe.each(backends)('PyTorch on %s', (_, device) => {
  it.each(rows)('$name', async ({ name, inputs, fixed = [], run, tolerance = { abs: 1e-5, rel: 1e-5 } }) => {
    const t: Record<string, Tensor> = {};
    for (const key of inputs) t[key] = golden.tensor(device, `${name}.${key}`, true);
    for (const key of fixed) t[key] = golden[WHOLE.includes(key) ? 'ids' : 'tensor'](device, `${name}.${key}`);
    const y = run(t, device);
    expectNear(name, await y.data(), golden.f32(`${name}.out`), tolerance);
    device.tape.backwardFrom(y, () => golden.tensor(device, `${name}.dOut`));
    for (const key of inputs) {
      const expected = `${name}.d${key[0].toUpperCase()}${key.slice(1)}`;
      expect(t[key].grad?.shape).toEqual(golden.shape(expected));
      await golden.expectGradient(expected, t[key], tolerance);
    }
  });

  it('bceWithLogits', async () => {
    // PyTorch's has no sum: our weights play the part of its upstream gradient.
    const [x, target, out, upstream] = ['x', 'target', 'out', 'dOut'].map((key) => golden.f32(`bceWithLogits.${key}`));
    const logits = device.tensor(x, undefined, { requiresGrad: true });
    const loss = bceWithLogits(logits, device.tensor(target), device.tensor(upstream));
    const expected = out.reduce((sum, v, i) => sum + v * upstream[i], 0);
    expect(Math.abs((await loss.item()) - expected)).toBeLessThan(1e-4);
    loss.backward();
    await golden.expectGradient('bceWithLogits.dX', logits, { abs: 1e-6, rel: 1e-5 });
  });
});
