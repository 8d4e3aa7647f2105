/** Attacks: what is injected, how it is found without labels, and that a guarded training is the clean one again. */
import { describe, expect, it } from 'vitest';
import { byUser, countsOf } from '../../data/by-user.ts';
import { makeShop } from '../../data/demo-shop/shop.ts';
import { prepare } from '../../data/dataset.ts';
import type { Log } from '../../data/log.ts';
import { type Split, splitDataset } from '../../data/splits/split.ts';
import { MemoryFiles } from '../../model/storage/files.ts';
import { Snapshot } from '../../model/storage/manifest.ts';
import { packModel } from '../../model/storage/pack.ts';
import { attack, detection } from '../../train/attack/attack.ts';
import { detectProfiles } from '../../train/attack/detect.ts';
import type { Guard } from '../../train/attack/guard.ts';
import { injectProfiles, PROFILE_KINDS, type InjectionOptions } from '../../train/attack/profiles.ts';
import { logOf } from '../../train/events.ts';
import { planTraining } from '../../train/plan.ts';
import { resumePlan } from '../../train/resume-plan.ts';
import { runPlan } from '../../train/run-plan.ts';
import { learnTransitions } from '../../train/transitions/learn.ts';
import { openDevice } from '../device.ts';
import { set } from '../set.ts';
import { splitOf } from './small.ts';

const shop = makeShop({ seed: 5, shoppers: 600 });
const { log } = shop;
const counts = countsOf(log.item, log.itemIds.length);
/** The first item with fewest events. */
function slowest({ item, itemIds }: Log): string {
  const sold = countsOf(item, itemIds.length);
  return itemIds[sold.indexOf(sold.reduce((a, b) => Math.min(a, b)))];
}
const slow = slowest(log);
const options = (more: Partial<InjectionOptions> = {}): InjectionOptions => ({
  item: slow,
  kind: 'average',
  size: 0.02,
  ...more,
});
const splitOfLog = (of: Log) => splitDataset(prepare(of, { minInteractions: 5 }));

/** The events of a user, in file order. */
function profileOf(of: Log, id: string): { items: string[]; times: number[]; rows: number[] } {
  const { order, starts } = byUser(of.user, of.userIds.length, null);
  const user = of.userIds.indexOf(id);
  const rows = Array.from(order.subarray(starts[user], starts[user + 1]));
  return {
    rows,
    items: rows.map((row) => of.itemIds[of.item[row]]),
    times: rows.map((row) => of.time?.[row] ?? Number.NaN),
  };
}

describe('injectProfiles', () => {
  it.each(PROFILE_KINDS)('%s: honest lengths and times, the target once, where leave-one-out trains on it', (kind) => {
    const { log: more, users } = injectProfiles(log, options({ kind, longest: 20 }));
    expect(users).toEqual(Array.from({ length: 12 }, (_, p) => `attack-${p + 1}`));
    expect(more.userIds.slice(0, 600)).toEqual(log.userIds);
    for (const name of ['user', 'item', 'time'] as const) expect(more[name]?.slice(0, log.size)).toEqual(log[name]);
    for (const id of users) {
      const { items, times } = profileOf(more, id);
      expect(items.length).toBeGreaterThanOrEqual(5);
      expect(items.length).toBeLessThanOrEqual(20);
      expect(items.filter((item) => item === slow)).toHaveLength(1);
      expect(items.indexOf(slow)).toBeLessThan(items.length - 2);
      expect(times).toEqual([...times].sort((a, b) => a - b));
    }
    expect(injectProfiles(log, options({ kind, longest: 20 })).log).toEqual(more);
    expect(injectProfiles(log, options({ kind, longest: 20, seed: 2 })).log).not.toEqual(more);
  });

  it('takes the fillers from where the kind says', () => {
    const popular = new Set(
      [...counts.keys()]
        .sort((a, b) => counts[b] - counts[a])
        .slice(0, 20)
        .map((i) => log.itemIds[i]),
    );
    const fillers = (more: Partial<InjectionOptions>) => {
      const { log: of, users } = injectProfiles(log, options({ size: 0.2, ...more }));
      return users.map((id) => profileOf(of, id).items.filter((item) => item !== slow));
    };
    const share = (profiles: string[][]) => {
      const all = profiles.flat();
      return all.filter((item) => popular.has(item)).length / all.length;
    };
    expect(share(fillers({ kind: 'bandwagon' }))).toBeGreaterThan(0.5);
    expect(share(fillers({ kind: 'random' }))).toBeLessThan(0.2);
    expect(share(fillers({ kind: 'average' }))).toBeGreaterThan(share(fillers({ kind: 'random' })));
    const segment = log.itemIds.filter((id) => id !== slow).slice(0, 8);
    for (const items of fillers({ kind: 'segment', segment })) expect(segment).toEqual(expect.arrayContaining(items));
    // A run of an honest shopper's purchases.
    const honest = log.userIds.map(
      (id) =>
        ` ${profileOf(log, id)
          .items.filter((item) => item !== slow)
          .join(' ')} `,
    );
    for (const items of fillers({ kind: 'sequential', size: 0.02 }))
      expect(honest.some((history) => history.includes(` ${items.join(' ')} `))).toBe(true);
  });

  it('gives fillers honest ratings, and the target the highest', () => {
    const rating = Float64Array.from({ length: log.size }, (_, row) => 1 + (log.item[row] % 4));
    const { log: more, users } = injectProfiles({ ...log, rating }, options());
    for (const id of users)
      for (const row of profileOf(more, id).rows) {
        const { [more.item[row]]: name } = more.itemIds;
        expect(more.rating?.[row]).toBe(name === slow ? 4 : 1 + (more.item[row] % 4));
      }
  });

  it('refuses in one line what makes no attack', () => {
    expect(() => injectProfiles(log, options({ item: 'no such' }))).toThrow(
      /^`item`: .*no item "no such"; its items are "/,
    );
    expect(() => injectProfiles(log, options({ size: 0 }))).toThrow(
      /^`size`: expected a share above 0, up to 1, got 0$/,
    );
    expect(() => injectProfiles(log, options({ kind: 'segment', segment: ['gone'] }))).toThrow(/^`segment`: .*"gone"/);
    expect(() => injectProfiles(log, options({ shortest: 500 }))).toThrow(/no user has 500 events/);
    const { log: attacked } = injectProfiles(log, options());
    expect(() => injectProfiles(attacked, options())).toThrow(/has a user attack-1 already/);
  });
});

describe('the detector', () => {
  const large = makeShop({ seed: 4 }).log;

  it('finds nobody in the log as it is', () => {
    expect(detection(splitOfLog(large), new Set()).leftOut).toEqual({ injected: 0, honest: 0 });
  });

  it.each(PROFILE_KINDS)('tells %s profiles from honest users', (kind) => {
    const { log: more, users } = injectProfiles(large, { item: slowest(large), kind });
    const { AUC, recallAt1, leftOut, users: known } = detection(splitOfLog(more), new Set(users));
    expect(known).toEqual({ injected: 25, honest: 2500 });
    expect(AUC).toBeGreaterThan(0.85);
    expect(recallAt1).toBeGreaterThan(0.75);
    // The score finds them all in a segment, too, but its fillers stand out as the item does: no evidence against one item.
    expect(leftOut.injected >= 20).toBe(kind !== 'segment');
    expect(leftOut.honest).toBeLessThan(15);
  });

  it('leaves nobody out of a log in which many items look pushed', () => {
    // Groups of ten friends who have the same rare item among others at random: seven items stand out.
    const histories = Array.from({ length: 300 }, (_, u) =>
      u < 70
        ? [
            ...Array.from({ length: 12 }, (_, t) => (u * 31 + t * t * 17 + t) % 90),
            100 + Math.floor(u / 10),
            u % 90,
            (u + 9) % 90,
          ]
        : Array.from({ length: 15 }, (_, t) => (u * 5 + t) % 90),
    );
    const { unclear, injected } = detectProfiles(splitOf(histories, 107));
    expect([unclear, injected.reduce((sum, x) => sum + x, 0)]).toEqual([true, 0]);
  });
});

describe('a guarded training', async () => {
  const device = await openDevice({ backend: 'cpu' });
  const training = {
    recipe: 'sasrec',
    epochs: 1,
    settings: set('d=8 ff=8 blocks=1 window=8 budget=512 validateUsers=20 learningRate=0.01'),
  };
  // Walks round a ring of sixty items, with a detour each; every fiftieth walker has the item that is pushed.
  const few = logOf(
    Array.from({ length: 300 }, (_, u) =>
      Array.from({ length: 12 }, (_, t) => ({
        user: `u${u}`,
        item: u % 50 === 0 && t === 4 ? 'rare' : `i${(u * 7 + (t === 2 + (u % 3) ? 30 + (u % 11) : t)) % 60}`,
        time: 1000 * t + u,
      })),
    ).flat(),
    'walks',
  );
  const pushed = { item: 'rare', kind: 'random', size: 0.04 } as const;
  const source = (of: Log) => ({ log: of, name: 'shop' });
  const injected = injectProfiles(few, pushed);
  const guard = { ...training, settings: { ...training.settings, guard: 'on' } };

  it('leaves out whom the guard names, keeps who and why, and continues so', async () => {
    const plan = planTraining(source(injected.log), guard);
    const found = plan.guard as Guard;
    const users = found.leftOut.map(({ user }) => user);
    expect(users).toEqual(expect.arrayContaining(injected.users));
    expect(found.targets).toContainEqual(expect.objectContaining({ item: pushed.item }));
    expect(plan.notes.join('\n')).toMatch(/guard: \d+ of 312 users look injected and are left out/);
    for (const id of users) {
      const u = plan.split.dataset.userIds.indexOf(id);
      const { split } = plan;
      expect([split.trainLength(u), split.targets(u, 'valid').length, split.targets(u, 'test').length]).toEqual([
        0, 0, 0,
      ]);
    }
    const files = new MemoryFiles();
    await runPlan(plan, { device, files });
    const stored = JSON.parse(
      new TextDecoder().decode((await (await Snapshot.open(files)).read('guard.json')) as Uint8Array),
    );
    expect(stored).toEqual(JSON.parse(JSON.stringify(found)));
    const again = await resumePlan(files, source(injected.log));
    expect(again.guard).toEqual(found);
    expect(again.split.trainPositions()).toBe(plan.split.trainPositions());
    // The names of users stay at home.
    expect(await new Blob(await packModel(files)).text()).not.toContain('guard.json');
  });

  it('has no guard without the setting, and refuses cold items and a search over it', () => {
    expect(planTraining(source(few), training).guard).toBeNull();
    expect(() =>
      planTraining(source(injected.log), guard).withSettings({ ...guard.settings, guard: 'off' }, {}),
    ).toThrow(/settings.guard.*it decides which users train, and is not searched/);
  });

  it('reports what honest users lose to an attack, and what the guard gives back', async () => {
    const result = await attack(source(few), {
      ...pushed,
      device,
      training,
      guard: true,
    });
    const { components, guard: left, detector } = result;
    expect(result).toMatchObject({ item: pushed.item, kind: 'random', profiles: 12, users: 300 });
    expect(result.events.attacked).toBe(result.events.clean + 12);
    expect(detector.leftOut).toEqual(left);
    expect([left?.injected, detector.recallAt1]).toEqual([12, 1]);
    expect(Object.keys(components)).toEqual(['transformer', 'transitions', 'blend']);
    for (const { clean, attacked, guarded } of Object.values(components)) {
      expect(clean?.change).toBeUndefined();
      expect(attacked?.overlap?.mean).toBeLessThan(1);
      expect(guarded?.change?.targetRank.mean).toBeCloseTo((guarded?.targetRank ?? 0) - (clean?.targetRank ?? 0), 9);
    }
    const { clean, attacked, guarded } = components.transitions ?? {};
    expect(attacked?.targetRank).toBeLessThan(clean?.targetRank ?? 0);
    expect(attacked?.change?.targetRank.high).toBeLessThan(0);
    expect(guarded?.targetRank).toBeGreaterThan(attacked?.targetRank ?? 0);
  });

  it('learns what the log without its injected profiles teaches, number for number', async () => {
    const attacked = splitOfLog(injected.log);
    const without = attacked.without(
      Uint8Array.from(attacked.dataset.userIds, (id) => Number(id.startsWith('attack-'))),
    );
    const by = { lambda: 20, learningPower: 0.7, backward: 0.3 };
    const rows = async (split: Split) => (await learnTransitions(device, split, by)).rows;
    expect(await rows(without)).toEqual(await rows(splitOfLog(few)));
    expect(await rows(attacked)).not.toEqual(await rows(splitOfLog(few)));
    expect(without.trainPositions()).toBe(splitOfLog(few).trainPositions());
  });

  it('refuses trainings that cannot be compared', async () => {
    const run = (more: object) => attack(source(few), { ...pushed, device, training: { ...training, ...more } });
    await expect(run({ settings: { guard: 'on' } })).rejects.toThrow(/settings.guard.*name `guard` to compare both/);
    await expect(run({ settings: { ranker: 'on' } })).rejects.toThrow(/the first stage alone/);
    await expect(run({ protocol: { name: 'cold-items', parameters: {} } })).rejects.toThrow(
      /cold-items.*another protocol/,
    );
  });
});
