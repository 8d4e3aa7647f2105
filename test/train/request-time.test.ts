/** Models that read when they are asked learn what only that tells, and ask the clock where nobody says. */
import { describe, expect, it, vi } from 'vitest';
import type { Settings } from '../../model/recipes/settings.ts';
import { Recommender } from '../../recommend/recommender.ts';
import { evaluate } from '../../train/evaluation/evaluate.ts';
import { RankingModel } from '../../model/inference/ranking-model.ts';
import { loadModel } from '../../model/storage/load-model.ts';
import { planTraining } from '../../train/plan.ts';
import { runPlan } from '../../train/run-plan.ts';
import { MemoryFiles } from '../../model/storage/files.ts';
import { logOf } from '../../train/events.ts';
import { openDevice } from '../device.ts';
import { set } from '../set.ts';

const [ITEMS, START, LONG] = [12, 1_700_000_000, 86_400];

/** Shoppers who walk round a ring: three items on after a day, one after ten seconds. What they do next hangs on when. */
const shoppers = () =>
  logOf(
    Array.from({ length: 60 }, (_, u) => {
      let [at, time] = [u * 5, START];
      return Array.from({ length: 15 }, (_, i) => {
        const long = (u * 7 + i * i) % 3 === 0;
        time += long ? LONG : 10;
        at += long ? 3 : 1;
        return { user: `u${u}`, item: `i${at % ITEMS}`, time };
      });
    }).flat(),
    'shoppers',
  );

describe('a model that reads when it is asked', async () => {
  const device = await openDevice({ backend: 'webgpu' });

  async function learn(recipe: string, more: string) {
    const settings = {
      ...set(
        'd=16 ff=32 blocks=1 heads=2 window=8 budget=256 learningRate=0.02 validateSteps=40 dropout=0 loss=softmax similarity=dot memory=off',
      ),
      ...set(more),
    };
    const options = { recipe, settings, minInteractions: 1, includeSeen: true, epochs: 30 };
    const plan = planTraining({ log: shoppers(), name: 'shoppers' }, options);
    const files = new MemoryFiles();
    await runPlan(plan, { device, files });
    const model = await RankingModel.load(device, await loadModel(files));
    const score = async (requestTime: 'known' | 'unknown') =>
      (await evaluate(model.encoder, plan.split, { split: 'test', includeSeen: true, requestTime })).metrics['HR@1'];
    const scores = { known: await score('known'), unknown: await score('unknown') };
    model.dispose();
    return { files, scores, plan };
  }

  it.each([
    ['sasrec', 'requestTime=on'],
    ['sasrec', 'requestTime=on bias=time'],
    ['hstu', 'requestTime=on'],
  ])('%s with %s: knows the step, and without the time does not', async (recipe, more) => {
    const { scores, files } = await learn(recipe, more);
    expect(scores.known).toBeGreaterThan(0.9);
    expect(scores.unknown).toBeLessThan(0.8);
    const recommender = await Recommender.load(files, { device });
    expect(recommender.readsNow).toBe(true);
    const query = { history: ['i3', 'i4', 'i5'], times: [START, START + 10, START + 20], k: 1, includeSeen: true };
    const next = async (now?: number | null) => (await recommender.recommend({ ...query, now })).items[0].id;
    expect(await next(START + 30)).toBe('i6');
    expect(await next(1000 * (START + 30))).toBe('i6');
    expect(await next(START + LONG)).toBe('i8');
    // Nobody says when: it is now.
    vi.spyOn(Date, 'now').mockReturnValue(1000 * (START + LONG));
    expect(await next()).toBe('i8');
    vi.mocked(Date.now).mockReturnValue(1000 * (START + 30));
    expect(await next()).toBe('i6');
    // A clock that is behind that of the events.
    vi.mocked(Date.now).mockReturnValue(1000 * START);
    const [now, last] = [
      await recommender.recommend(query),
      await recommender.recommend({ ...query, now: START + 20 }),
    ];
    expect(now).toEqual(last);
    vi.restoreAllMocks();
    const session = recommender.session({ k: 1, includeSeen: true });
    for (const [i, item] of query.history.entries()) session.add({ item, time: query.times[i] });
    expect((await session.recommend({ now: START + LONG })).items[0].id).toBe('i8');
    expect((await session.recommend({ now: START + 30 })).items[0].id).toBe('i6');
    await expect(next(START)).rejects.toThrow('expected a time after the last event');
    const { items } = await recommender.recommend({ ...query, now: START + LONG, explain: 'occlusion' });
    expect(items[0].explanation?.events).toHaveLength(3);
    recommender.close();
  });

  it('needs no times: it then learns nothing of them, and says so', () => {
    const log = { ...shoppers(), time: null };
    const settings = { requestTime: 'on', window: '8', budget: '256' } satisfies Partial<
      Record<keyof Settings, string>
    >;
    const plan = planTraining({ log, name: 'shoppers' }, { recipe: 'sasrec', settings, minInteractions: 1 });
    expect(plan.notes.join('\n')).toContain('the log has no times: it learns nothing of that');
    expect(plan.config.schema.events).toBeUndefined();
  });

  it.each(['bert4rec', 'encoder-decoder'])('is causal: %s is refused', (recipe) => {
    const source = { log: shoppers(), name: 'shoppers' };
    expect(() => planTraining(source, { recipe, settings: { requestTime: 'on' } })).toThrow(
      /requires .*direction.*causal/,
    );
  });
});
