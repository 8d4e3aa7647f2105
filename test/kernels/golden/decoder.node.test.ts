/** An encoder–decoder against PyTorch's own layers (test/golden/make.py): the decoder's states, loss, every gradient. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Batch } from '../../../data/batching/batch.ts';
import { continuationTokens } from '../../../data/batching/continuations.ts';
import type { ContinuationBatch } from '../../../data/batching/batch.ts';
import { crossAttention, crossBounds, Device, type NumericArray } from '../../../engine/index.ts';
import type { TrainingTokens } from '../../../model/encoders/context.ts';
import { parametersOf } from '../../../model/encoders/network.ts';
import { settingsFor } from '../../../model/recipes/recipes.ts';
import { SequenceModel } from '../../../model/encoders/sequence-model.ts';
import { Feed, needsOf } from '../../../train/loop/feed.ts';
import golden from '../../golden/decoder.json' with { type: 'json' };
import { firstMismatch } from '../harness.ts';

const { config, tensors } = golden as unknown as {
  config: { histories: number[]; continuations: number[]; [size: string]: number | number[] };
  tensors: Record<string, { data: number[] }>;
};
const of = (name: string): Float64Array => Float64Array.from(tensors[name].data);
const { histories, continuations } = config;
const settings = settingsFor('encoder-decoder', {
  d: `${config.D}`,
  heads: `${config.H}`,
  ff: `${config.F}`,
  window: `${config.T}`,
  continuation: `${config.n}`,
  blocks: '1',
  decoder: '2',
  budget: '16',
  dropout: '0',
});
const ITEMS = config.V as number;

/** The sequences, packed. */
function batch(): Batch {
  const { budget, continuation } = settings;
  const room = continuationTokens(budget, continuation);
  const offsets = (lengths: number[]) => [0, 1, 2, 3].map((s) => lengths.slice(0, s).reduce((a, b) => a + b, 0));
  const [keys, queries] = [offsets(histories), offsets(continuations)];
  const cross = crossBounds(queries, keys, room, budget);
  const lay = (n: number, part: (s: number) => ArrayLike<number>) => {
    const all = new Uint32Array(n);
    all.set(histories.flatMap((_, s) => Array.from(part(s))));
    return all;
  };
  const items = (s: number) => of(`items.${s}`);
  const upTo = (n: number) => Array.from({ length: n }, (_, i) => i);
  const same = (n: number, value: number) => new Array<number>(n).fill(value);
  const weights = new Float32Array(room);
  weights.set(of('weights'));
  const next: ContinuationBatch = {
    tokens: queries[3],
    items: lay(room, (s) => items(s).slice(histories[s] - 1, -1)),
    positions: lay(room, (s) => upTo(continuations[s])),
    targets: lay(room, (s) => items(s).slice(histories[s])),
    weights,
    start: lay(room, (s) => same(continuations[s], queries[s])),
    end: lay(room, (s) => same(continuations[s], queries[s + 1])),
    keyStart: cross.start,
    keyEnd: cross.end,
    queryStart: cross.from,
    queryEnd: cross.to,
  };
  return {
    tokens: keys[3],
    items: lay(budget, (s) => items(s).slice(0, histories[s])),
    positions: lay(budget, (s) => upTo(histories[s])),
    targets: new Uint32Array(budget),
    weights: new Float32Array(budget),
    start: lay(budget, (s) => same(histories[s], keys[s])),
    end: lay(budget, (s) => same(histories[s], keys[s + 1])),
    continuation: next,
  };
}

for (const backend of ['cpu', 'webgpu'] as const) {
  describe(`encoder–decoder as in PyTorch on ${backend}`, () => {
    let device: Device;
    beforeAll(async () => {
      device = await Device.open({ backend });
    });
    afterAll(() => device?.close());

    it('states, loss, gradients', async () => {
      const names = parametersOf(settings, ITEMS).declared.map((p) => p.name);
      const model = SequenceModel.create(device, settings, ITEMS, 0);
      model.parameters.load('params', new Map(names.map((n) => [n, Float32Array.from(of(`parameters.${n}`))])));
      const feed = new Feed(device, settings.budget, needsOf(settings));
      feed.stage(batch());
      feed.upload();
      const tokens = feed.tensors;
      const { keys, ...continuation } = tokens.continuation as TrainingTokens & {
        keys: Parameters<typeof crossAttention>[2];
      };
      const { h, loss } = device.scope(() => {
        const states = device.noGrad(() => {
          const read = model.encode(tokens);
          const heads = { heads: settings.heads };
          return model.decode(continuation, (i, q) => crossAttention(q, model.crossKeys(i, read), keys, heads)).keep();
        });
        const l = model.loss(tokens).keep();
        l.backward();
        return { h: states, loss: l };
      });
      const near = { abs: 5e-5, rel: 2e-4 };
      const hidden = of('hidden');
      expect(firstMismatch('hidden', (await h.data()).subarray(0, hidden.length), hidden, near)).toBeNull();
      expect(await loss.item()).toBeCloseTo(of('loss')[0], 5);
      for (const n of names) {
        const grad = (await model.parameters.get(n).grad?.data()) as NumericArray;
        expect(firstMismatch(`d${n}`, grad, of(`gradients.${n}`), near)).toBeNull();
      }
      for (const t of [h, loss]) t.dispose();
      model.dispose();
      feed.dispose();
    });
  });
}
