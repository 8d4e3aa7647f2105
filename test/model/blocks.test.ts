/** Every kind of block, in double precision on the CPU device and on the GPU. A new line in `BLOCKS` is tested by itself. */
import { describe, expect, it } from 'vitest';
import type { Device } from '../../engine/index.ts';
import { BLOCKS } from '../../model/encoders/blocks/index.ts';
import type { BlockKind } from '../../model/encoders/context.ts';
import { parametersOf } from '../../model/encoders/network.ts';
import { SequenceModel } from '../../model/encoders/sequence-model.ts';
import { checkSettings, type Settings } from '../../model/recipes/settings.ts';
import { Feed } from '../../train/loop/feed.ts';
import { firstMismatch, random } from '../kernels/harness.ts';
import { openDevice } from '../device.ts';

const SIZES = { d: 8, heads: 2, ff: 12, blocks: 2, window: 5, budget: 12, dropout: 0 };
const ITEMS = 7;
/** Two histories, of five and three events; the rest of the batch is unused. */
const TOKENS = { items: [1, 4, 2, 6, 1, 3, 3, 0], targets: [4, 2, 6, 1, 5, 3, 0, 2], split: 5 };

type Values = Map<string, Float64Array>;

function valuesFor(settings: Settings): Values {
  const { normal } = random(5);
  return new Map(
    parametersOf(settings, ITEMS).declared.map(({ name, shape }) => [
      name,
      Float64Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => 0.4 * normal()),
    ]),
  );
}

/** Hidden states of the used tokens, the loss, and the gradient of each parameter. */
async function passes(device: Device, settings: Settings, values: Values, items = TOKENS.items, backward = true) {
  const { split, targets } = TOKENS;
  const model = SequenceModel.create(device, settings, ITEMS, 0);
  const feed = new Feed(device, settings.budget, { times: true });
  model.parameters.load('params', values);
  const at = (of: (i: number) => number): Uint32Array => Uint32Array.from(items, (_, i) => of(i));
  feed.stage({
    tokens: items.length,
    items: Uint32Array.from(items),
    positions: at((i) => (i < split ? i : i - split)),
    targets: Uint32Array.from(targets),
    weights: new Float32Array(items.length).fill(1),
    start: at((i) => (i < split ? 0 : split)),
    end: at((i) => (i < split ? split : items.length)),
    times: at((i) => i * i),
  });
  feed.upload();
  const { h, loss } = device.scope(() => {
    const hidden = device.noGrad(() => model.encode(feed.tensors)).keep();
    const l = model.loss(feed.tensors).keep();
    if (backward) l.backward();
    return { h: hidden, loss: l };
  });
  const states = Float64Array.from((await h.data()).subarray(0, items.length * settings.d));
  const gradients: Values = new Map();
  if (backward)
    for (const name of values.keys())
      gradients.set(name, Float64Array.from((await model.parameters.get(name).grad?.data()) ?? []));
  const result = { states, loss: await loss.item(), gradients };
  for (const owned of [h, loss, model, feed]) owned.dispose();
  return result;
}

const kinds = Object.entries<BlockKind>(BLOCKS).flatMap(([block, { requires }]) =>
  // A bias for order and time where the kind does not refuse one.
  (requires?.bias ? [requires.bias] : (['none', 'both'] as const)).map((bias): [string, Settings] => [
    `block=${block} bias=${bias}`,
    checkSettings({ ...requires, ...SIZES, block: block as Settings['block'], bias }),
  ]),
);

const double = await openDevice({ backend: 'cpu', precision: 'f64', poison: true });
const gpu = await openDevice({ backend: 'webgpu', poison: true });

describe.each(kinds)('%s', (_, settings) => {
  const values = valuesFor(settings);

  it('has the gradients that central differences say', async () => {
    const { gradients } = await passes(double, settings, values);
    const h = 1e-5;
    for (const [name, gradient] of gradients) {
      const lossAt = async (i: number, delta: number): Promise<number> => {
        const moved = Float64Array.from(values.get(name) ?? []);
        moved[i] += delta;
        return (await passes(double, settings, new Map(values).set(name, moved), TOKENS.items, false)).loss;
      };
      for (let i = 0; i < gradient.length; i += Math.max(1, Math.floor(gradient.length / 6))) {
        const numeric = ((await lossAt(i, h)) - (await lossAt(i, -h))) / (2 * h);
        expect(Math.abs(numeric - gradient[i]), `d${name}[${i}] = ${gradient[i]}, not ${numeric}`).toBeLessThan(2e-6);
      }
    }
  });

  it('gives the same on the GPU', async () => {
    const [expected, actual] = [await passes(double, settings, values), await passes(gpu, settings, values)];
    const near = { abs: 5e-5, rel: 2e-4 };
    expect(firstMismatch('states', actual.states, expected.states, near)).toBeNull();
    for (const [name, gradient] of expected.gradients)
      expect(firstMismatch(`d${name}`, actual.gradients.get(name) ?? new Float64Array(), gradient, near)).toBeNull();
  });

  it('reads the events before a token in its own history, and no others', async () => {
    const changed = 2;
    const { states } = await passes(double, settings, values);
    const items = TOKENS.items.with(changed, 5);
    const after = (await passes(double, settings, values, items)).states;
    const differs = (i: number): boolean =>
      states.subarray(i * settings.d, (i + 1) * settings.d).some((x, k) => x !== after[i * settings.d + k]);
    expect(TOKENS.items.map((_, i) => differs(i))).toEqual(
      TOKENS.items.map((_, i) => i >= changed && i < TOKENS.split),
    );
  });
});
