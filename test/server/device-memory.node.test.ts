/** The device under a server: nothing is compiled once it is ready, and models that were replaced leave its memory. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { trainInto } from './mini-shop.ts';
import { startServer, type TestServer } from './server.ts';

describe('on the WebGPU device', () => {
  let server: TestServer;
  let root: string;
  beforeAll(async () => {
    root = mkdtempSync(path.join(tmpdir(), 'attune-memory-'));
    await trainInto(path.join(root, 'first'), 3);
    await trainInto(path.join(root, 'second'), 3, 2);
    server = await startServer({ model: path.join(root, 'first'), models: root, backend: 'webgpu' });
  });
  afterAll(async () => {
    await server.close();
    rmSync(root, { recursive: true });
  });

  it('no list compiles anything once the server is ready, re-ranked or not, with a condition or without', async () => {
    const { device } = server.context.models.current.recommender;
    const made = () => {
      const { pipelines, buffers, bindGroups } = device.stats();
      return { pipelines, buffers, bindGroups };
    };
    const before = made();
    expect(before.pipelines).toBeGreaterThan(0);
    const list = (options: object) => server.ids('POST', '/v1/recommendations', { history: ['i1', 'i4'], ...options });
    for (const options of [{}, { k: 20 }, { k: 128 }, { diversity: 0.4 }, { explore: { method: 'ucb' } }]) {
      expect((await list(options)).length).toBeGreaterThan(0);
      expect(made(), JSON.stringify(options)).toEqual(before);
    }
    for (const options of [{}, { diversity: 0.4 }]) {
      expect((await list({ ...options, where: 'not (title = none)' })).length).toBeGreaterThan(0);
      expect(made().pipelines, JSON.stringify(options)).toBe(before.pipelines);
    }
  });

  it('each swap frees what the model before it held, and no request of its time fails', async () => {
    const bytes = async (): Promise<number> => {
      for (;;) {
        const { body } = await server.call('GET', '/metrics');
        if (/^attune_models_loaded 1$/m.test(body)) return Number(/^attune_device_bytes (\d+)/m.exec(body)?.[1]);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    };
    const lists = () =>
      Promise.all(
        Array.from({ length: 4 }, (_, i) => server.ids('POST', '/v1/recommendations', { history: [`i${i}`], k: 5 })),
      );
    const held: number[] = [];
    for (const folder of ['second', 'first', 'second', 'first']) {
      const asked = lists();
      expect((await server.call('POST', '/v1/models', { folder, force: true })).status).toBe(200);
      for (const list of [...(await asked), ...(await lists())]) expect(list).toHaveLength(5);
      held.push(await bytes());
    }
    // All have the same shapes. Had none been freed, the last swap would leave five of them, and the first two.
    expect(held[0]).toBeGreaterThan(0);
    expect(held[3]).toBeLessThan(1.5 * held[0]);
  });
});
