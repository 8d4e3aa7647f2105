/** `train --final`: a model on all events, with what the validation of another model chose. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadModel } from '../../model/storage/load-model.ts';
import { MemoryFiles } from '../../model/storage/files.ts';
import { NodeFiles } from '../../recommend/sources/files.node.ts';
import { finalPlan, logOf, runPlan, trainModel } from '../../train/index.ts';
import { Device } from '../../engine/index.ts';
import { SMALL, openWorkplace, SHARED } from './attune.ts';

const USERS = 30;

/** Everybody goes around the same items; only the last two events of each user lead to `late`. */
function log(more: readonly string[] = []): string {
  const rows = ['user,item,timestamp'];
  for (let u = 0; u < USERS; u++) {
    const items = Array.from({ length: 8 }, (_, t) => `i${(u + t) % 12}`);
    [...items, 'bell', 'late', ...more].forEach((item, t) => rows.push(`u${u},${item},${1000 * t + u}`));
  }
  return `${rows.join('\n')}\n`;
}

const place = openWorkplace(SHARED);
const best = async (model: string, history: string): Promise<string[]> => {
  const { items } = await place.json(['recommend', '--model', model, '--history', history, '--k', '3']);
  return items.map(({ id }: { id: string }) => id);
};

beforeAll(async () => {
  place.write('log.csv', log());
  place.write('newer.csv', log(['i1', 'i2', 'i3']));
  const quick = '--epochs 6 --min-interactions 1 --set learningRate=0.01'.split(' ');
  await place.ok(['train', '--data', 'log.csv', '--out', 'model', ...SMALL, ...quick]);
  await place.ok('train --final model --out final');
});

const configOf = (model: string) => place.partJson(`${model}/config.json`);

describe('train --final', () => {
  it('learns from the two newest events of each user, which the other model never saw', async () => {
    expect((await best('final', 'i3,bell'))[0]).toBe('late');
    expect(await best('model', 'i3,bell')).not.toContain('late');
    const items = (model: string) => place.partJson(`${model}/items.json`).items;
    const count = (model: string, id: string) =>
      items(model).find((item: { id: string }) => item.id === id).count as number;
    expect([count('model', 'late'), count('final', 'late')]).toEqual([0, USERS]);
  });

  it('takes settings, epochs and blend from the other model, and says that nothing was held out', async () => {
    const [was, is] = [configOf('model'), configOf('final')];
    expect(is).toMatchObject({
      protocol: 'final',
      hyperparameters: was.hyperparameters,
      seed: was.seed,
      seen: was.seen,
    });
    expect(is.blend.memory).toBe(was.blend.memory);
    expect(is.blend.epsilon).toBeCloseTo(was.blend.epsilon, 12);
    expect(is.blend.fitted).toBeUndefined();
    const [chosen, final] = await Promise.all(
      ['model', 'final'].map(async (model) => (await loadModel(await NodeFiles.open(place.path(model)))).weights),
    );
    expect(final).toMatchObject({ from: 'model', metrics: null, note: null });
    // As many epochs; more steps, since there are more events.
    expect(final.step).toBeGreaterThan(chosen.step);
    expect(place.read('final/README.md')).toContain('trained on all events');
  });

  it('gives one model for one seed', async () => {
    await place.ok('train --final model --out twice');
    expect(readFileSync(place.part('twice/model.safetensors'))).toEqual(
      readFileSync(place.part('final/model.safetensors')),
    );
  });

  it('is never evaluated on its log; on a newer one it is, on what came since', async () => {
    for (const part of ['valid', 'test'])
      expect(await place.fails(`evaluate --model final --data log.csv --split ${part}`)).toMatch(
        /^1 .* are in what final was trained or validated on/,
      );
    await place.ok('evaluate --model model --data log.csv');
    const newer = await place.json('evaluate --model final --data newer.csv');
    expect(newer).toMatchObject({ protocol: 'leave-one-out', users: USERS });
    // Without its record nobody can tell.
    await place.ok('pack --model final --out final.attune');
    expect(await place.fails('evaluate --model final.attune --data newer.csv')).toMatch(/^1 .*trained on all events/);
  });

  it('is not continued, and takes nothing else from flags', async () => {
    expect(await place.fails('train --out final --resume')).toMatch(/^1 .*not continued/);
    for (const [flags, named] of [
      ['--epochs 3', '--epochs'],
      ['--resume', '--resume'],
      ['--set d=16 --seed 3', '--set, --seed'],
      ['--protocol leave-one-out', '--protocol'],
    ])
      expect((await place.fails(`train --final model --out other ${flags}`)).startsWith(`2 ${named}: `)).toBe(true);
    expect(await place.fails('train --final final --out other')).toMatch(/trained on all events itself/);
    expect(await place.fails('train --data log.csv --out other --protocol final')).toMatch(/^2 /);
    expect(await place.fails('train --final model --out final')).toMatch(/already holds a model/);
  });
});

describe('from a program', () => {
  it('the segment prior counts all events, with the weights that were chosen', async () => {
    const device = await Device.open({ backend: 'cpu' });
    const events = Array.from({ length: 24 }, (_, u) =>
      Array.from({ length: 8 }, (_, t) => ({ user: `u${u}`, item: `i${(u % 2) * 10 + ((u + t) % 10)}`, time: t })),
    ).flat();
    const users = Array.from({ length: 24 }, (_, u) => ({ id: `u${u}`, attributes: { kind: `k${u % 2}` } }));
    const settings = { d: 8, ff: 16, blocks: 1, window: 8, budget: 128 };
    const chosen = await trainModel(events, {
      users,
      recipe: 'sasrec',
      settings,
      epochs: 2,
      minInteractions: 1,
      device,
    });
    const files = new MemoryFiles('final');
    const source = {
      log: logOf(events, 'events', []),
      name: 'events',
      users: new Map(users.map(({ id, attributes }) => [id, attributes])),
      usersName: 'users',
    };
    await runPlan(await finalPlan(chosen.files, source), { device, files });
    device.close();
    const [was, is] = [await loadModel(chosen.files), await loadModel(files)];
    const sum = (values: Float32Array) => values.reduce((a, b) => a + b, 0);
    expect(is.prior?.settings.weights).toEqual(was.prior?.settings.weights);
    expect(sum(was.prior?.counts.items as Float32Array)).toBe(24 * 6);
    expect(sum(is.prior?.counts.items as Float32Array)).toBe(24 * 8);
  });

  it('a model with a second stage says what to do', async () => {
    const files = await NodeFiles.open(fileURLToPath(new URL('../fixtures/models/ranker', import.meta.url)));
    const source = { log: logOf([{ user: 'u0', item: 'i0' }], 'events', []), name: 'events' };
    await expect(finalPlan(files, source)).rejects.toThrow('it has a second stage');
  });
});
