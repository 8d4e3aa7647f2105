/** Multi-head cross-attention with its projections against torch.nn.MultiheadAttention (test/golden/make.py). */
import { it } from 'vitest';
import { crossAttention, crossBounds, matmul, type Tensor } from '../../../engine/index.ts';
import file from '../../golden/cross.json' with { type: 'json' };
import { backends } from '../devices.ts';
import { expectNear, Golden } from './golden.ts';

const { config } = file;
const golden = new Golden(file);
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

it.each(backends)('PyTorch on %s', async (_, device) => {
  const t = Object.fromEntries(Object.keys(LEAVES).map((key) => [key, golden.tensor(device, key, true)]));
  const [l, m] = [t.x.shape[0], t.states.shape[0]];
  const { start, end, from, to } = crossBounds(offsets(config.queries), offsets(config.keys), l, m);
  const [s, e, f, u] = [start, end, from, to].map((bound) => device.tensor(bound));
  const linear = (x: Tensor, name: string): Tensor => matmul(x, t[`${name}.weight`], { bias: t[`${name}.bias`] });
  const mixed = crossAttention(
    linear(t.x, 'query'),
    linear(t.states, 'keyvalue'),
    { start: s, end: e, from: f, to: u },
    { heads: config.H },
  );
  const y = linear(mixed, 'out');
  const tolerance = { abs: 2e-5, rel: 1e-4 };
  expectNear('out', await y.data(), golden.f32('out'), tolerance);
  device.tape.backwardFrom(y, () => golden.tensor(device, 'dOut'));
  for (const [key, name] of Object.entries(LEAVES)) await golden.expectGradient(name, t[key], tolerance);
});
