/** An encoder–decoder against PyTorch's own layers (test/golden/make.py): the decoder's states, loss, every gradient. */
import { describe, it } from 'vitest';
import { continuationTokens } from '../../../data/batching/continuations.ts';
import type { Batch, ContinuationBatch } from '../../../data/batching/batch.ts';
import { crossAttention, crossBounds } from '../../../engine/index.ts';
import type { TrainingTokens } from '../../../model/encoders/context.ts';
import { settingsFor } from '../../../model/recipes/recipes.ts';
import { SequenceModel } from '../../../model/encoders/sequence-model.ts';
import { Feed, needsOf } from '../../../train/loop/feed.ts';
import file from '../../golden/decoder.json' with { type: 'json' };
import { Golden } from './golden.ts';
import { openDevice } from '../../device.ts';

const config: { histories: number[]; continuations: number[]; [size: string]: number | number[] } = file.config;
const golden = new Golden(file);
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
  const items = (s: number) => golden.u32(`items.${s}`);
  const upTo = (n: number) => Array.from({ length: n }, (_, i) => i);
  const same = (n: number, value: number) => new Array<number>(n).fill(value);
  const weights = new Float32Array(room);
  weights.set(golden.f32('weights'));
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

for (const backend of ['cpu', 'wasm', 'webgpu'] as const) {
  describe(`encoder–decoder as in PyTorch on ${backend}`, async () => {
    const device = await openDevice({ backend });

    it('states, loss, gradients', async () => {
      const model = SequenceModel.create(device, settings, ITEMS, 0);
      model.parameters.load('params', golden.values(model.parameters.names, 'parameters.'));
      const feed = new Feed(device, settings.budget, needsOf(settings));
      feed.stage(batch());
      const tokens = feed.tensors;
      const { keys, ...continuation } = tokens.continuation as TrainingTokens & {
        keys: Parameters<typeof crossAttention>[2];
      };
      const states = () => {
        const read = model.encode(tokens);
        const heads = { heads: settings.heads };
        return model.decode(continuation, (i, q) => crossAttention(q, model.crossKeys(i, read), keys, heads));
      };
      await golden.expectModel(model, feed, states, '', { abs: 5e-5, rel: 2e-4 });
      model.dispose();
      feed.dispose();
    });
  });
}
