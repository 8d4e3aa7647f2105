/** What the library promises, on whatever runs it: called by a test in Node and by one in Chromium. */
import { describe, expect, it } from 'vitest';
import { InputError } from '../../data/errors.ts';
import { Recommender } from '../../recommend/recommender.ts';
import { idOf, smallModel } from './model.fixture.ts';
import { openDevice } from '../device.ts';

const HISTORY = Array.from({ length: 12 }, (_, i) => idOf((i * 7) % 60));
const idsOf = ({ items }: { items: { id: string }[] }) => items.map(({ id }) => id);

/** @param slow where shaders compile slowly: fewer of them */
export async function librarySuite({ slow = false } = {}): Promise<void> {
  const device = await openDevice({ backend: 'webgpu' });
  const files = await smallModel(device);
  const load = (options: Parameters<typeof smallModel>[1] = {}) =>
    smallModel(device, options).then((model) => Recommender.load(model, { device }));

  describe('a session', () => {
    it('recommends after each event what the whole history gives', async () => {
      const recommender = await Recommender.load(files, { device });
      const session = recommender.session({ history: HISTORY.slice(0, 2), k: 5 });
      for (const [i, id] of HISTORY.slice(2).entries()) {
        if (slow && i > 2) session.add(id);
        if (slow && i > 2) continue;
        const { items } = await session.update(id);
        const whole = await recommender.recommend({ history: HISTORY.slice(0, i + 3), k: 5 });
        expect(items).toEqual(whole.items);
      }
      expect(session.history).toEqual(HISTORY);
      expect(idsOf(await session.recommend({ k: 3 }))).toEqual(idsOf(await session.recommend()).slice(0, 3));
      const late = await Promise.all(['i50', 'i51', 'i52'].map((id) => session.update(id)));
      expect(idsOf(late[0])).not.toContain('i50');
      expect(late[0].items).toEqual((await recommender.recommend({ history: [...HISTORY, 'i50'], k: 5 })).items);
      session.clear();
      expect((await session.recommend({ k: 1 })).items[0].id).toBe('i59'); // what is popular
      recommender.close();
    });

    it('creates nothing after warmUp(): one run and one wait an update, for histories of every length', async () => {
      const recommender = await load({ set: { window: '160' } });
      await recommender.warmUp(5);
      const made = () => {
        const { buffers, bytes, pipelines, bindGroups, dispatches, submits, waits } = device.stats();
        return { flat: { buffers, bytes, pipelines, bindGroups }, dispatches, submits, waits };
      };
      for (const length of [1, 2, 63, 64, 65, 128, 129, 200]) {
        const session = recommender.session({
          history: Array.from({ length: length - 1 }, (_, i) => idOf(i % 30)),
          k: 5,
        });
        const before = made();
        await session.update('i40');
        const after = made();
        expect(after.flat, `${length} events`).toEqual(before.flat);
        expect(after.submits - before.submits).toBe(2); // the run, and the copy to be read
        expect(after.waits - before.waits).toBe(1);
        expect(after.dispatches - before.dispatches).toBeLessThanOrEqual(20);
      }
      recommender.close();
    });

    it('lists that are asked for at once share a run, and are what each is alone', async () => {
      const recommender = await load();
      await recommender.warmUp(16, 8);
      const queries = Array.from({ length: slow ? 4 : 8 }, (_, i) => ({
        history: HISTORY.slice(0, i + 1),
        k: 3 + (i % 5),
        exclude: i % 3 === 0 ? [idOf(i)] : [],
        diversity: i === 1 ? 0.5 : undefined,
      }));
      const alone: string[][] = [];
      for (const query of queries) alone.push(idsOf(await recommender.recommend(query)));
      const before = device.stats().waits;
      const unknown = recommender.recommend({ history: ['nothing'] });
      const together = queries.map((query) => recommender.recommend(query));
      await expect(unknown).rejects.toThrow('none of the 1 items'); // its own fault, nobody else's
      expect((await Promise.all(together)).map(idsOf)).toEqual(alone);
      expect(device.stats().waits - before).toBe(1);
      // The same condition is the same bias: one run, too.
      const filtered = HISTORY.slice(0, 4).map((id) => ({ history: [id], k: 4, where: 'kind=b' }));
      const apart: string[][] = [];
      for (const query of filtered) apart.push(idsOf(await recommender.recommend(query)));
      const still = device.stats().waits;
      expect((await Promise.all(filtered.map((query) => recommender.recommend(query)))).map(idsOf)).toEqual(apart);
      expect(device.stats().waits - still).toBe(1);
      recommender.close();
    });

    it('keeps times whole', async () => {
      const recommender = await Recommender.load(files, { device });
      const session = recommender.session();
      session.add({ item: 'i1', time: 10 });
      expect(() => session.add('i2')).toThrow(/^i2: the session's events have times, this one has none/);
      session.clear();
      session.add('i1');
      expect(() => session.add({ item: 'i2', time: 3 })).toThrow(InputError);
      expect(() => recommender.session({ history: ['i1'], times: [] })).toThrow(
        /^times: expected one for each of the 1 items/,
      );
      recommender.close();
    });
  });

  describe('personalize', () => {
    const kinds: [string, Parameters<typeof smallModel>[1]][] = [
      ['a blend', {}],
      ['a transformer alone, by the cosine', { memory: false, set: { similarity: 'cosine' } }],
      ['a model that fills in masks', { memory: false, recipe: 'bert4rec' }],
    ];
    it.each(slow ? kinds.slice(0, 1) : kinds)(
      'changes the lists by what is learned, and forget() undoes it bit for bit: %s',
      async (_, options) => {
        const recommender = await load(options);
        const query = { history: HISTORY, k: 20 };
        const before = await recommender.recommend(query);
        const learned = await recommender.personalize(HISTORY, { steps: 5 });
        expect(learned.loss.after).toBeLessThan(learned.loss.before);
        expect(learned.events).toBe(HISTORY.length - 1);
        const after = await recommender.recommend(query);
        expect(after).not.toEqual(before);
        expect(recommender.adaptation).toBe(learned);
        recommender.forget();
        expect(await recommender.recommend(query)).toEqual(before);
        recommender.adopt(structuredClone(learned));
        expect(await recommender.recommend(query)).toEqual(after);
        const again = await recommender.personalize(HISTORY, { steps: 5 });
        expect(again).toEqual(learned);
        recommender.close();
      },
    );

    it('goes down the gradient of its loss', async () => {
      const recommender = await load({ memory: false });
      const one = await recommender.personalize(HISTORY, { steps: 1, learningRate: 1e-3 });
      // The first step of Adam moves each number by the learning rate against its gradient: the loss must fall by about
      // learning rate · Σ|g|, which two steps of different length let us compare.
      const two = await recommender.personalize(HISTORY, { steps: 1, learningRate: 2e-3 });
      const [a, b] = [one, two].map(({ loss }) => loss.before - loss.after);
      expect(a).toBeGreaterThan(0);
      expect(b / a).toBeGreaterThan(1.9);
      expect(b / a).toBeLessThan(2.05);
      recommender.close();
    });

    it('says what it cannot learn from', async () => {
      const recommender = await Recommender.load(files, { device });
      await expect(recommender.personalize(['i1'])).rejects.toThrow(/^personalize: at least two events/);
      await expect(recommender.personalize(['gone'])).rejects.toThrow(/none of the 1 items/);
      await expect(recommender.personalize(HISTORY, { steps: 0 })).rejects.toThrow(
        /^`steps: 0`: expected an integer from 1 to 1000/,
      );
      expect(() =>
        recommender.adopt({ vector: new Float32Array(3), events: 1, loss: { before: 1, after: 1 } }),
      ).toThrow(/^adopt: expected an adaptation of 16 finite numbers/);
      recommender.close();
    });
  });

  it('now, whatever it is, changes nothing for a model that does not read it', async () => {
    const recommender = await Recommender.load(files, { device });
    const query = { history: ['i1', 'i2'], times: [1011, 1012] };
    const plain = await recommender.recommend(query);
    for (const now of [null, 5, 1_796_027_195_166, Number.NaN])
      expect((await recommender.recommend({ ...query, now })).items).toEqual(plain.items);
    recommender.close();
  });

  it('load, recommend, adapt and close, ten times: live bytes are where they were', async () => {
    const round = async (): Promise<number> => {
      const recommender = await Recommender.load(files, { device });
      const session = recommender.session({ history: HISTORY.slice(0, 4) });
      await session.update('i5');
      await recommender.personalize(HISTORY, { steps: 2 });
      await session.recommend({ k: 3 });
      recommender.close();
      return device.stats().bytes;
    };
    const first = await round();
    const loaded = await Recommender.load(files, { device });
    const held = device.stats().bytes - first;
    loaded.close();
    for (let i = 0; i < 10; i++) expect(await round(), `round ${i}`).toBe(first);
    expect(held).toBeGreaterThan(0);
  });
}
