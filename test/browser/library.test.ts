/** The library in Chromium: what it promises everywhere, and where a model comes from in a page. */
import { type Remote, wrap } from 'comlink';
import { describe, expect, it } from 'vitest';
import { Device } from '../../engine/index.ts';
import { Snapshot } from '../../model/storage/manifest.ts';
import { copyModel, packModel } from '../../model/storage/pack.ts';
import { DirectoryFiles, openModel } from '../../recommend/index.ts';
import { Recommender } from '../../recommend/recommender.ts';
import type { AttuneWorker } from '../../recommend/worker.ts';
import { librarySuite } from '../recommend/library.ts';
import { smallModel } from '../recommend/model.fixture.ts';

await librarySuite({ slow: true });

describe('a model in a page', () => {
  it('goes into a folder of the private file system and comes back packed, from an address and from bytes', async () => {
    const device = await Device.open({ backend: 'cpu' });
    const files = await smallModel(device);
    const root = await navigator.storage.getDirectory();
    await root.removeEntry('a model', { recursive: true }).catch(() => {});
    const handle = await root.getDirectoryHandle('a model', { create: true });
    const folder = new DirectoryFiles(handle);
    await copyModel(files, folder);
    await folder.append('metrics.jsonl', '{"step":1}\n');
    await folder.append('metrics.jsonl', '{"step":2}\n');
    expect(new TextDecoder().decode((await folder.read('metrics.jsonl')) ?? undefined)).toBe(
      '{"step":1}\n{"step":2}\n',
    );
    await folder.remove('metrics.jsonl');
    await folder.remove('metrics.jsonl');
    expect(await folder.read('metrics.jsonl')).toBeNull();
    await expect(copyModel(files, folder)).rejects.toThrow(/^a model: already holds a model/);

    const blob = new Blob(await packModel(await openModel(handle)));
    const address = URL.createObjectURL(blob);
    const packed = await root.getFileHandle('a model.attune', { create: true });
    const stream = await packed.createWritable();
    await stream.write(blob);
    await stream.close();
    for (const source of [handle, blob, await blob.arrayBuffer(), new File([blob], 'x.attune'), address, packed]) {
      const opened = await openModel(source);
      const [wanted, found] = await Promise.all([files, opened].map((of) => Snapshot.open(of)));
      expect(await found.parts()).toEqual(await wanted.parts());
      for (const part of await wanted.parts()) expect(await found.read(part)).toEqual(await wanted.read(part));
    }
    URL.revokeObjectURL(address);
    await root.removeEntry('a model', { recursive: true });
    await root.removeEntry('a model.attune');
    device.close();
  });
});

describe('compressed weights', () => {
  it.each(['f16', 'int8', 'int4'] as const)('%s load in a page, on WebGPU and on WebAssembly', async (weights) => {
    const cpu = await Device.open({ backend: 'cpu' });
    const packed = new Blob(await packModel(await smallModel(cpu), { weights }));
    const here = await Recommender.load(packed, { device: cpu });
    const wanted = await here.recommend({ history: ['i1', 'i2'], k: 5 });
    for (const backend of ['webgpu', 'wasm'] as const) {
      const device = await Device.open({ backend });
      const there = await Recommender.load(packed, { device });
      const { items } = await there.recommend({ history: ['i1', 'i2'], k: 5 });
      expect(items.map(({ id }) => id)).toEqual(wanted.items.map(({ id }) => id));
      there.close();
      device.close();
    }
    here.close();
    cpu.close();
  });
});

describe('the worker', () => {
  it('loads, keeps a session, adapts, forgets, and says what is wrong, through comlink', async () => {
    const device = await Device.open({ backend: 'cpu' });
    const packed = new Blob(await packModel(await smallModel(device)));
    const here = await Recommender.load(packed, { device });
    const worker = new Worker(new URL('../../recommend/worker.ts', import.meta.url), { type: 'module' });
    const attune: Remote<AttuneWorker> = wrap<AttuneWorker>(worker);
    const there = await attune.load(packed, { backend: 'cpu' });
    expect(await there.device()).toBe('cpu');
    expect(await there.items()).toEqual(here.items);
    const session = await there.session({ history: ['i1', 'i2'], k: 5 });
    expect(await session.update('i9')).toEqual(await here.recommend({ history: ['i1', 'i2', 'i9'], k: 5 }));
    const history = await session.history();
    expect(history).toEqual(['i1', 'i2', 'i9']);
    const learned = await there.personalize(history, { steps: 3 });
    here.adopt(learned);
    expect(await session.recommend()).toEqual(await here.recommend({ history, k: 5 }));
    await there.forget();
    here.forget();
    expect(await session.recommend()).toEqual(await here.recommend({ history, k: 5 }));
    const failure = await there.recommend({ history: ['gone'] }).catch((error: Error) => error);
    expect(failure).toMatchObject({ name: 'InputError', message: expect.stringMatching(/^none of the 1 items/) });
    await there.close();
    worker.terminate();
    here.close();
    device.close();
  });
});
