/** Histories continued item by item: the cache against whole forward passes, the strategies, what is refused. */
import { describe, expect, it } from 'vitest';
import { crossAttention, crossBounds, Device } from '../../engine/index.ts';
import type { DecodingOptions } from '../../model/inference/decoding.ts';
import { Generator } from '../../model/inference/generator.ts';
import { parametersOf } from '../../model/encoders/network.ts';
import type { Settings } from '../../model/recipes/settings.ts';
import { settingsFor } from '../../model/recipes/recipes.ts';
import { SequenceModel } from '../../model/encoders/sequence-model.ts';
import { openDevice } from '../device.ts';
import { set } from '../set.ts';

const ITEMS = 40;
const HISTORIES = [[3, 1, 4, 15, 9, 2, 6], [5], [35, 8, 9, 7, 9, 3, 2, 38, 4, 6, 2, 6]].map((h) => Uint32Array.from(h));

const settingsOf = (recipe: string, more: Record<string, string> = {}): Settings =>
  settingsFor(recipe, {
    ...set('d=16 ff=24 heads=2 blocks=2 window=12 budget=64 continuation=8'),
    ...more,
  });

/** A model whose scores differ as those of a trained one do. */
function modelOf(device: Device, settings: Settings): SequenceModel {
  const model = SequenceModel.create(device, settings, ITEMS, null);
  const specs = parametersOf(settings, ITEMS).specs(5);
  const scale = (name: string) => (name.endsWith('.weight') && !name.includes('norm') ? 20 : 1);
  model.parameters.load(
    'params',
    new Map(specs.map((s) => [s.name, Float32Array.from(s.init, (x) => x * scale(s.name))])),
  );
  return model;
}

/** Log probabilities of the item after `history` and `more`, from one pass over everything. */
async function whole(
  model: SequenceModel,
  history: readonly number[],
  more: readonly number[],
  exclude: readonly number[],
) {
  const { device, settings } = model;
  const pack = (items: readonly number[]) => {
    const n = items.length;
    const of = (values: readonly number[]) => device.tensor(Uint32Array.from(values), [n]);
    const all = (value: number) => of(items.map(() => value));
    return { items: of(items), positions: of(items.map((_, i) => i)), start: all(0), end: all(n) };
  };
  const decoded = settings.decoder > 0;
  const tokens = pack(decoded ? history : [...history, ...more]);
  const continued = pack([history[history.length - 1], ...more]);
  const [l, m] = [continued.items.size, tokens.items.size];
  const bounds = crossBounds([0, l], [0, m], l, m);
  const keys = {
    start: device.tensor(bounds.start),
    end: device.tensor(bounds.end),
    from: device.tensor(bounds.from),
    to: device.tensor(bounds.to),
  };
  const scores = device.scope(() =>
    device.noGrad(() => {
      const h = model.encode(tokens);
      if (!decoded) return model.scores(h).keep();
      const cross = (i: number, q: typeof h) =>
        crossAttention(q, model.crossKeys(i, h), keys, { heads: settings.heads });
      return model.scores(model.decode(continued, cross)).keep();
    }),
  );
  const last = Array.from((await scores.data()).slice(-ITEMS));
  for (const item of exclude) last[item] = Number.NEGATIVE_INFINITY;
  const top = Math.max(...last);
  const sum = last.reduce((s, x) => s + Math.exp(x - top), 0);
  return last.map((x) => x - top - Math.log(sum));
}

for (const backend of ['cpu', 'wasm', 'webgpu'] as const) {
  describe(`generation on ${backend}`, async () => {
    const device = await openDevice({ backend });

    async function generate(model: SequenceModel, options: Partial<DecodingOptions> = {}) {
      const generator = new Generator(model, { steps: 6, ...options });
      const answers = await generator.generate(HISTORIES.map((history) => ({ history, exclude: history })));
      generator.dispose();
      return answers;
    }

    it.each([
      ['sasrec', {}],
      ['sasrec', { positions: 'rotary', norm: 'post' }],
      ['sasrec-bce', {}],
      ['esasrec', { positions: 'sinusoidal' }],
      ['encoder-decoder', {}],
      ['encoder-decoder', { positions: 'rotary', activation: 'swiglu', direction: 'causal' }],
    ])('%s %j: each step is the whole forward pass', async (recipe, more) => {
      const model = modelOf(device, settingsOf(recipe, more));
      // A beam that goes on from another reads that one's keys.
      for (const options of [{ decode: 'greedy' }, { decode: 'beam', beams: 3 }] as const) {
        const answers = await generate(model, { ...options });
        for (const [i, { items, logs, total }] of answers.entries()) {
          // An encoder alone leaves room for the steps in its window.
          const read = model.settings.decoder > 0 ? HISTORIES[i] : HISTORIES[i].slice(-7);
          for (const [step, item] of items.entries()) {
            const before = items.slice(0, step);
            const expected = await whole(model, [...read], before, [...HISTORIES[i], ...before]);
            expect(logs[step]).toBeCloseTo(expected[item], 3);
            if (options.decode === 'greedy') expect(expected[item]).toBeCloseTo(Math.max(...expected), 3);
          }
          expect(items).toHaveLength(6);
          expect(new Set([...items, ...HISTORIES[i]]).size).toBe(6 + new Set(HISTORIES[i]).size);
          expect(total).toBeCloseTo(logs.reduce((a, b) => a + b));
        }
      }
      model.dispose();
    });

    it('a beam finds what is at least as likely as the greedy continuation', async () => {
      const model = modelOf(device, settingsOf('encoder-decoder'));
      const greedy = await generate(model);
      const beam = await generate(model, { decode: 'beam', beams: 8 });
      for (const [i, { total, beams }] of beam.entries()) {
        expect(total).toBeGreaterThanOrEqual(greedy[i].total - 1e-4);
        expect(beams).toHaveLength(8);
        expect(new Set(beams.map(({ items }) => items.join())).size).toBe(8);
        for (let b = 1; b < 8; b++) expect(beams[b].total).toBeLessThanOrEqual(beams[b - 1].total);
      }
      expect(beam.some(({ total }, i) => total > greedy[i].total + 1e-3)).toBe(true);
      expect((await generate(model, { decode: 'beam', beams: 1 })).map((a) => a.items)).toEqual(
        greedy.map((a) => a.items),
      );
      model.dispose();
    });

    it.each(['top-k', 'nucleus'] as const)('%s: a seed gives the same draws again', async (decode) => {
      const model = modelOf(device, settingsOf('sasrec'));
      const draw = async (options: Partial<DecodingOptions>) =>
        (await generate(model, { decode, temperature: 2, ...options })).map(({ items }) => items);
      const first = await draw({ seed: 3 });
      expect(await draw({ seed: 3 })).toEqual(first);
      expect(await draw({ seed: 4 })).not.toEqual(first);
      // One candidate, or almost no probability, or almost no temperature: the likeliest.
      const greedy = (await generate(model)).map(({ items }) => items);
      expect(await draw(decode === 'top-k' ? { topK: 1 } : { topP: 1e-6 })).toEqual(greedy);
      expect(await draw({ temperature: 0.01 })).toEqual(greedy);
      model.dispose();
    });

    it('ends where nothing is left, repeats only when asked to', async () => {
      const model = modelOf(device, settingsOf('sasrec'));
      const generator = new Generator(model, { steps: 6, decode: 'beam', beams: 2 });
      const exclude = Uint32Array.from({ length: ITEMS - 2 }, (_, i) => i);
      const [few, none] = await generator.generate([
        { history: HISTORIES[0], exclude },
        { history: HISTORIES[0], exclude: Uint32Array.from({ length: ITEMS }, (_, i) => i) },
      ]);
      expect([...few.items].sort()).toEqual([38, 39]);
      expect(none.items).toEqual([]);
      generator.dispose();
      const again = new Generator(model, { steps: 12, repeats: true });
      const [answer] = await again.generate([{ history: HISTORIES[1], exclude: exclude.subarray(1) }]);
      expect(answer.items).toHaveLength(12);
      expect(new Set(answer.items).size).toBeLessThan(4);
      again.dispose();
      model.dispose();
    });
  });
}

describe('what cannot be continued', () => {
  it.each([
    ['bert4rec', {}, /^this model cannot continue a history: it fills in masks/],
    ['hstu', {}, /keeps no keys and values \(block=hstu/],
    ['sasrec', { steps: 13 }, /^`steps: 13`: this model reads windows of 12 events/],
    ['encoder-decoder', { steps: 9 }, /^`steps: 9`: .* at most 8 items/],
    ['sasrec', { steps: 0 }, /^`steps: 0`: expected an integer/],
    ['sasrec', { temperature: 0 }, /^`temperature: 0`: expected a number from 0.01/],
    ['sasrec', { topP: 2 }, /^`topP: 2`/],
    ['sasrec', { beams: 17 }, /^`beams: 17`: expected an integer from 1 to 16/],
  ])('%s %j', async (recipe, options, message) => {
    const device = await Device.open({ backend: 'cpu' });
    const settings = settingsOf(recipe);
    const model = SequenceModel.create(device, settings, ITEMS, null);
    expect(() => new Generator(model, { steps: 2, ...options })).toThrow(message);
    model.dispose();
    device.close();
  });
});
