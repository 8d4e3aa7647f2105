/** Models are replaced while the server answers. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lockFolder } from '../../recommend/sources/lock.node.ts';
import { decode, encode } from '../../model/storage/safetensors.ts';
import { endAll, serveCommand } from './command.ts';
import { eventsOf, ITEMS, postable, trainFinalInto, trainInto, USERS } from './mini-shop.ts';
import { fixture, startServer, type TestServer } from './server.ts';

const until = async (what: () => Promise<boolean>): Promise<void> => {
  while (!(await what())) await new Promise((resolve) => setTimeout(resolve, 50));
};

describe('models are replaced without a pause', () => {
  let server: TestServer;
  let root: string;
  beforeAll(async () => {
    root = mkdtempSync(path.join(tmpdir(), 'attune-models-'));
    await trainInto(path.join(root, 'good'), 3);
    await trainInto(path.join(root, 'again'), 3, 2);
    await trainInto(path.join(root, 'wrong'), 7);
    await trainInto(path.join(root, 'other-shop'), 3, 1, 'p');
    cpSync(fixture('sequence'), path.join(root, 'columns'), { recursive: true });
    cpSync(fixture('ratings'), path.join(root, 'ratings'), { recursive: true });
    server = await startServer({ model: path.join(root, 'good'), models: root });
    // The server has a copy of its own.
    rmSync(path.join(root, 'good'), { recursive: true });
  });
  afterAll(async () => {
    await server.close();
    rmSync(root, { recursive: true });
  });

  const activate = (folder: string, force?: boolean) => server.call('POST', '/v1/models', { folder, force });
  const list = async () => (await server.call('GET', '/v1/models')).body;
  const active = async (): Promise<string[]> =>
    (await list()).models.flatMap((model: { folder: string; active: boolean }) => (model.active ? [model.folder] : []));
  const versionNow = async (): Promise<string> =>
    (await server.call('POST', '/v1/recommendations', { history: ['i1'] })).body.model;

  it('lists what there is, with dates and metrics, and which answers', async () => {
    const { models } = await list();
    expect(models.map(({ folder }: { folder: string }) => folder).sort()).toEqual(
      ['again', 'columns', 'model', 'other-shop', 'ratings', 'wrong'].sort(),
    );
    expect(await active()).toEqual(['model']);
    const again = models.find(({ folder }: { folder: string }) => folder === 'again');
    expect(again).toMatchObject({ recipe: 'sasrec', items: ITEMS, protocol: 'leave-one-out' });
    expect(again.metrics['NDCG@10']).toBeGreaterThan(0);
    expect(Date.parse(again.trained)).toBeGreaterThan(Date.now() - 3_600_000);
    writeFileSync(path.join(root, 'damaged.attune'), 'not a model');
    expect((await list()).unreadable).toMatchObject([{ folder: 'damaged.attune' }]);
    expect((await activate('damaged.attune')).status).toBe(422);
    rmSync(path.join(root, 'damaged.attune'));
  });

  it('says "not compared" where too few stored events are newer than both trainings, swaps, and swaps back', async () => {
    const before = await versionNow();
    const { status, body } = await activate('again');
    expect(status).toBe(200);
    expect(body).toMatchObject({ folder: 'again', swapped: true, comparison: { compared: false, users: 0 } });
    expect(body.comparison.note).toContain('not compared');
    expect(await versionNow()).toBe(body.version);
    expect(body.version).not.toBe(before);
    expect(await active()).toEqual(['again']);
    expect((await activate('again')).body).toMatchObject({ swapped: false });
    expect((await activate('model')).body).toMatchObject({ swapped: true, version: before });
    expect(await versionNow()).toBe(before);
  });

  it('compares on stored events that are newer than both trainings, and refuses what is significantly worse', async () => {
    // What the training held, and what came after it.
    for (const events of [eventsOf(3), eventsOf(3, 9, 10)]) {
      expect((await server.call('POST', '/v1/events', postable(events))).status).toBe(201);
    }
    const same = await activate('again');
    expect(same.body.comparison).toMatchObject({ compared: true, users: USERS });
    expect(same.body.comparison.candidate).toBeGreaterThan(0.5);
    const version = await versionNow();
    const worse = await activate('wrong');
    expect(worse).toMatchObject({ status: 422, body: { code: 'model-refused', field: '/folder' } });
    expect(worse.body.detail).toContain('significantly worse');
    expect(await versionNow()).toBe(version);
    const forced = await activate('wrong', true);
    expect(forced.body).toMatchObject({ swapped: true, comparison: { compared: true } });
    expect(forced.body.comparison.difference).toBeLessThan(-2 * forced.body.comparison.standardError);
    // The way back is an improvement.
    expect((await activate('model')).status).toBe(200);
  });

  it('takes a model that was trained on all events, and compares on what is newer than its newest', async () => {
    const final = path.join(root, 'final');
    await trainFinalInto(final, path.join(root, 'again'), eventsOf(3));
    expect((await activate('final')).body).toMatchObject({
      swapped: true,
      comparison: { compared: true, users: USERS },
    });
    const listed = (await list()).models.find(({ folder }: { folder: string }) => folder === 'final');
    expect(listed).toMatchObject({ protocol: 'final', metrics: {}, active: true });
    expect((await activate('model')).status).toBe(200);
    // The stored events are among what it was trained on now.
    await trainFinalInto(final, path.join(root, 'again'), eventsOf(3, 0, 10));
    expect((await activate('final')).body).toMatchObject({ swapped: true, comparison: { compared: false, users: 0 } });
    expect((await activate('model')).status).toBe(200);
    rmSync(final, { recursive: true });
  });

  it('refuses other catalogs, models of ratings, damaged ones and paths, and the old one stays', async () => {
    const version = await versionNow();
    const other = await activate('other-shop');
    expect(other).toMatchObject({ status: 422, body: { code: 'model-refused' } });
    expect((await activate('ratings')).status).toBeGreaterThanOrEqual(400);
    expect((await activate('ratings')).status).toBeLessThan(500);
    for (const name of ['../models', '..', 'a/b', '/etc', 'again\u0000', '.'])
      expect((await activate(name)).status, name).toBe(400);
    symlinkSync(tmpdir(), path.join(root, 'out'));
    expect(await activate('out')).toMatchObject({ status: 400, body: { field: '/folder' } });
    rmSync(path.join(root, 'out'));
    expect(await activate('none')).toMatchObject({ status: 404, body: { code: 'not-found' } });
    expect(await versionNow()).toBe(version);
    expect((await server.call('GET', '/metrics')).body).toMatch(/attune_models_loaded 1\n/);
  });

  it('refuses a model that does not read what the current one reads, unless forced', async () => {
    // It reads users' segments: more is no harm.
    expect((await activate('columns')).body).toMatchObject({ swapped: true });
    const less = await activate('model');
    expect(less).toMatchObject({ status: 422, body: { code: 'model-refused' } });
    expect(less.body.detail).toContain('segment');
    expect((await activate('model', true)).status).toBe(200);
  });

  it('refuses weights that are not finite, and weights that make scores that are not', async () => {
    const folder = path.join(root, 'model-nan');
    cpSync(fixture('sequence'), folder, { recursive: true });
    const file = path.join(folder, 'model.safetensors');
    const { tensors, metadata } = decode(readFileSync(file), file);
    const { data } = tensors.get('items.weight') as { data: Float32Array };
    for (const [value, reason] of [
      [3e38, 'scores that are not finite'],
      [Number.NaN, 'holds NaN'],
    ] as const) {
      data.fill(value, 40);
      writeFileSync(file, encode(tensors, metadata));
      const answer = await activate('model-nan', true);
      expect(answer).toMatchObject({ status: 422, body: { code: 'damaged-model' } });
      expect(answer.body.detail).toContain(reason);
    }
    expect(await active()).toEqual(['model']);
    rmSync(folder, { recursive: true });
  });

  it('answers every request while models are swapped, each by one model, and frees the old ones', async () => {
    let stop = false;
    let answers = 0;
    const versions = new Set<string>();
    const asking = Array.from({ length: 8 }, async (_, i) => {
      while (!stop) {
        const { status, body } = await server.call('POST', '/v1/recommendations', { history: [`i${i}`, 'i3'], k: 5 });
        expect(status).toBe(200);
        expect(body.items).toHaveLength(5);
        versions.add(body.model);
        answers++;
      }
    });
    for (const folder of ['again', 'model', 'again', 'model']) expect((await activate(folder, true)).status).toBe(200);
    stop = true;
    await Promise.all(asking);
    expect(versions.size).toBeGreaterThanOrEqual(2);
    expect(answers).toBeGreaterThan(8);
    await until(async () => /attune_models_loaded 1\n/.test((await server.call('GET', '/metrics')).body));
  });

  it('refuses a second swap while one runs', async () => {
    const answers = await Promise.all([activate('again', true), activate('again', true)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
    await activate('model', true);
  });

  it('takes up a folder that was trained anew, once no training holds it', async () => {
    const before = await versionNow();
    const folder = path.join(server.folder, 'model');
    const lock = await lockFolder(folder);
    await trainInto(folder, 3, 5);
    await new Promise((resolve) => setTimeout(resolve, 2500));
    expect(await versionNow()).toBe(before);
    await lock.release();
    await until(async () => (await versionNow()) !== before);
    // What is worse on the stored events is refused there, too.
    const now = await versionNow();
    await trainInto(folder, 7, 5);
    const refused = async (): Promise<number> =>
      Number(
        /attune_model_swaps_total\{result="refused"\} (\d+)/.exec((await server.call('GET', '/metrics')).body)?.[1],
      );
    const count = await refused();
    await until(async () => (await refused()) > count);
    expect(await versionNow()).toBe(now);
  });

  it('items that are put while a model is being loaded are in its catalog', async () => {
    const put = (id: string) => server.call('PUT', '/v1/items', { id, title: id });
    const [swapped] = await Promise.all([activate('again', true), put('during-1'), put('during-2')]);
    expect(swapped.status).toBe(200);
    expect(await server.ids('GET', '/v1/latest')).toEqual(expect.arrayContaining(['during-1', 'during-2']));
  });
});

it('the model that answers is itself by whatever path it was named, and without one there is nothing to serve', async () => {
  const root = mkdtempSync(path.join(tmpdir(), 'attune-models-'));
  try {
    cpSync(fixture('sequence'), path.join(root, 'shop'), { recursive: true });
    await expect(serveCommand(['--model', 'none'], {}, root)).rejects.toThrow(/attune: .*none: no such folder/);
    expect(readdirSync(root)).toEqual(['shop']);
    const { url, end } = await serveCommand(['--model', './shop/'], {}, root);
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(`${url}/v1/models`, { method: 'POST', headers, body: '{"folder":"shop"}' });
    expect(await answer.json()).toMatchObject({ folder: 'shop', swapped: false });
    expect(await end('SIGTERM')).toBe(0);
    expect(readdirSync(root)).toContain('shop.store.db');
  } finally {
    endAll();
    rmSync(root, { recursive: true });
  }
});
