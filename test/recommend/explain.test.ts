/** Explanations: the numbers behind them are those of the model, and where the cause is known both methods name it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { attention, AttentionWeights, biasWidth, normal, relativeAttention } from '../../engine/index.ts';
import { HostTransitions } from '../../model/transitions/relative-score.ts';
import { attentionHeatmap } from '../../recommend/explanations/heatmap.ts';
import { SequenceModel } from '../../model/encoders/sequence-model.ts';
import { Explainer } from '../../recommend/explanations/explain.ts';
import { settingsOf } from '../../model/inference/ranking-model.ts';
import { Recommender } from '../../recommend/recommender.ts';
import { CAUSE, HISTORY, learned } from './causes.ts';
import { openDevice } from '../device.ts';

const device = await openDevice({ backend: 'webgpu' });

describe('attention weights on the host', () => {
  const [l, heads, k] = [13, 2, 8];
  const d = heads * k;
  const times = Uint32Array.from({ length: l }, (_, i) => i * i * 3);

  it.each([
    ['causal', { causal: true }],
    ['both ways', { causal: false }],
    ['relative, both ways', { causal: false, position: true }],
    ['relative and in time', { causal: true, position: true, time: true }],
    ['pointwise', { causal: true, position: true, time: true, pointwise: 7 }],
  ])('times values give what the kernel gives: %s', async (_, options) => {
    const {
      causal,
      position = false,
      time = false,
      pointwise,
    } = options as Record<string, boolean> & {
      pointwise?: number;
    };
    const values = normal(l * 3 * d, 3, 0, 1);
    const width = biasWidth({ causal, position, time });
    const bias = width > 0 ? normal(heads * width, 3, 1, 0.5) : null;
    const weights = new AttentionWeights(values, d, l, {
      heads,
      causal,
      position,
      times: time ? times : null,
      bias,
      pointwise,
    });
    const out = device.scope(() => {
      const qkv = device.tensor(values, [l, 3 * d]);
      const u32 = (data: Uint32Array) => device.tensor(data, [l], { dtype: 'u32' } as object);
      const bounds = { start: u32(new Uint32Array(l)), end: u32(new Uint32Array(l).fill(l)) };
      const table = bias && device.tensor(bias, [heads, width]);
      const o = table
        ? relativeAttention(qkv, bounds, table, {
            heads,
            causal,
            position,
            times: time ? u32(times) : null,
            pointwise,
          })
        : attention(qkv, bounds, { heads, causal });
      return o.keep();
    });
    const wanted = await out.data();
    out.dispose();
    for (let i = 0; i < l; i++) {
      for (let h = 0; h < heads; h++) {
        const row = weights.row(h, i);
        if (!pointwise) expect(row.reduce((a, b) => a + b)).toBeCloseTo(1, 12);
        for (let c = 0; c < k; c++) {
          const mixed = row.reduce((sum, w, j) => sum + w * values[j * 3 * d + 2 * d + h * k + c], 0);
          expect(mixed, `token ${i}, head ${h}, column ${c}`).toBeCloseTo(wanted[i * d + h * k + c], 4);
        }
      }
    }
  });
});

describe('where the cause is known', () => {
  const both = async (recommender: Recommender) => {
    for (const explain of ['occlusion', 'rollout'] as const) {
      const { items } = await recommender.recommend({ history: HISTORY, k: 3, includeSeen: true, explain });
      expect(items[0].id).toBe('B2');
      const { method, events, sentence } = items[0].explanation ?? expect.fail('no explanation');
      expect(method).toBe(explain);
      expect(events).toHaveLength(HISTORY.length);
      expect(events[0]).toMatchObject({ id: 'A2', title: '<A2> & co', position: CAUSE });
      expect(events[0].share).toBeGreaterThan(explain === 'occlusion' ? 0.5 : 0.3);
      expect(sentence).toMatch(/^(Mainly|Partly) because of <A2> & co \(\d+ %\)/);
    }
  };

  it('a bidirectional model: both methods name it', async () => {
    const { files } = await learned(device, 'bert4rec', { maskLast: '0.5', learningRate: '0.005' }, 80);
    const recommender = await Recommender.load(files, { device });
    await both(recommender);
    const { attention: seen } = await recommender.recommend({ history: HISTORY, attention: true, includeSeen: true });
    expect([seen?.maps.tokens, seen?.maps.events]).toEqual([HISTORY.length + 1, HISTORY.length]);
    recommender.close();
  });

  describe('a causal model with transitions', () => {
    let recommender: Recommender;
    beforeAll(async () => {
      const { files } = await learned(device, 'sasrec', { memory: 'on' });
      recommender = await Recommender.load(files, { device });
    });
    afterAll(() => recommender?.close());
    const ask = async (history: string[], explain: 'occlusion' | 'rollout' = 'occlusion') =>
      (await recommender.recommend({ history, k: 20, includeSeen: true, explain })).items;

    it('both methods name it', () => both(recommender));

    it('relative scores are the blended scores but for a constant, and a contribution is what leaving out takes away', async () => {
      const items = await ask(HISTORY);
      expect(items).toHaveLength(20);
      const relativeScoreOf = (item?: (typeof items)[0]) => {
        const { transformer, memory } = item?.explanation?.lift ?? expect.fail('no lift');
        return { transformer, memory, all: transformer + memory };
      };
      expect(items.some((item) => relativeScoreOf(item).memory > 0.05)).toBe(true);
      for (const item of items)
        expect(relativeScoreOf(items[0]).all - relativeScoreOf(item).all).toBeCloseTo(items[0].score - item.score, 3);
      expect(items.reduce((sum, item) => sum + relativeScoreOf(item).all, 0) / 20).toBeCloseTo(0, 4); // all there are
      for (const at of [0, CAUSE, HISTORY.length - 1]) {
        const without = await ask(HISTORY.filter((_, i) => i !== at));
        for (const { id, explanation } of items) {
          const rest = relativeScoreOf(without.find((other) => other.id === id));
          const whole = explanation?.lift ?? expect.fail('no lift');
          const event = explanation?.events.find(({ position }) => position === at);
          expect(event?.transformer).toBeCloseTo(whole.transformer - rest.transformer, 4);
          expect(event?.memory).toBeCloseTo(whole.memory - rest.memory, 4);
          expect(event?.contribution).toBeCloseTo(whole.transformer + whole.memory - rest.all, 4);
        }
      }
    });

    it('shares of the transitions add up to what it adds', async () => {
      const { blended, items } = recommender.loaded;
      const { transitions, blend } = blended ?? expect.fail('no transitions');
      const host = new HostTransitions(transitions, blend);
      const history = Uint32Array.from(HISTORY, (id) => items.findIndex((item) => item.id === id));
      const all = Uint32Array.from(items, (_, row) => row);
      const lifts = host.relativeScores(history, all);
      const sums = Array.from(all, (row) => host.sharesOf(history, row).reduce((a, b) => a + b, 0));
      const logs = sums.map((sum) => blend.memory * Math.log(Math.max(0, sum) + blend.epsilon));
      const mean = logs.reduce((a, b) => a + b, 0) / logs.length;
      lifts.forEach((lift, row) => expect(lift).toBeCloseTo(logs[row] - mean, 9));
      expect(host.relativeScores(history, all)).toEqual(lifts);
    });

    it('unknown items keep the positions of the others; one event carries all there is', async () => {
      const [first] = await ask(['nobody knows this', ...HISTORY]);
      expect(first.explanation?.events[0]).toMatchObject({ id: 'A2', position: CAUSE + 1 });
      const [only] = await ask(['A1']);
      const { lift, events } = only.explanation ?? expect.fail('no explanation');
      expect(only.id).toBe('B1');
      expect(events).toHaveLength(1);
      expect(events[0].contribution).toBe(lift.transformer + lift.memory);
      expect(events[0].share).toBe(1);
      expect((await ask(['A1'], 'rollout'))[0].explanation?.events[0].share).toBe(1);
    });

    it('questions asked at once do not mix', async () => {
      const { loaded } = recommender;
      const model = SequenceModel.load(device, settingsOf(loaded), loaded.items.length, loaded.tensors);
      const explainer = new Explainer(model, loaded);
      const whole = Uint32Array.from(HISTORY, (id) => loaded.items.findIndex((item) => item.id === id));
      const positions = HISTORY.map((_, i) => i);
      const ask = (from: number) =>
        explainer.explain({ history: whole.subarray(from), positions }, Uint32Array.of(5), 'rollout');
      const alone = [await ask(0), await ask(1), await ask(2)];
      expect(alone[0][0].lift).not.toEqual(alone[1][0].lift);
      expect(await Promise.all([ask(0), ask(1), ask(2)])).toEqual(alone);
      explainer.dispose();
      model.dispose();
    });

    it('attributes shared with the recommendation come with their share', async () => {
      const [{ explanation }] = await ask(HISTORY);
      const { events, attributes } = explanation ?? expect.fail('no explanation');
      expect(attributes).toEqual([{ attribute: 'kind', value: 'pair 2', share: events[0].share, history: 1 / 9 }]);
    });

    it('histories longer than the window: what the model does not read has no part in it', async () => {
      const long = [...Array.from({ length: 90 }, (_, i) => `N${i % 9}`), ...HISTORY];
      for (const explain of ['occlusion', 'rollout'] as const) {
        const [{ explanation }] = await ask(long, explain);
        const last = Math.max(12, recommender.loaded.blended?.transitions.settings.last ?? 0);
        expect(explanation?.events).toHaveLength(last);
        expect(explanation?.events[0]).toMatchObject({ id: 'A2', position: 90 + CAUSE });
      }
    });
  });

  it('pointwise attention: shares of absolute weights', async () => {
    const { files } = await learned(device, 'hstu', {}, 2);
    const recommender = await Recommender.load(files, { device });
    const query = { history: HISTORY, times: HISTORY.map((_, i) => i * 60), includeSeen: true, attention: true };
    const { items, attention: seen } = await recommender.recommend({ ...query, k: 2, explain: 'rollout' });
    const { maps, titles } = seen ?? expect.fail('no maps');
    expect(maps.pointwise).toBe(true);
    expect(maps.mean(1, 5).reduce((a, b) => a + b)).toBeCloseTo(1, 12);
    expect(items[1].explanation?.events.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 12);
    expect(attentionHeatmap(maps, titles, { block: 1, head: 1 })).toContain('pointwise (HSTU)');
    recommender.close();
  });
});
