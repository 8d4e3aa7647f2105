/** Where models are loaded from in Node: addresses, paths, bytes, files. */
import { createServer, type Server } from 'node:http';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { copyModel, packModel } from '../../model/storage/pack.ts';
import { NodeFiles, openModel, Recommender } from '../../recommend/node.ts';
import { PickedFiles } from '../../recommend/sources/files.browser.ts';
import { smallModel } from './model.fixture.ts';
import { openDevice } from '../device.ts';

const dir = mkdtempSync(path.join(tmpdir(), 'attune-sources-'));
const HISTORY = ['i3', 'i8', 'i9'];
const device = await openDevice({ backend: 'cpu' });
const files = await smallModel(device);
const packed = new Blob(await packModel(files));
let server: Server;
let base: string;
let best: string[];
/** Paths that the server was asked for. */
const asked: string[] = [];

beforeAll(async () => {
  await copyModel(files, await NodeFiles.create(path.join(dir, 'my model')));
  writeFileSync(path.join(dir, 'x.attune'), new Uint8Array(await packed.arrayBuffer()));
  server = createServer(async ({ url = '/' }, response) => {
    asked.push(url);
    const { pathname } = new URL(url, 'http://localhost');
    const name = pathname.split('/').at(-1) as string;
    if (pathname.startsWith('/broken')) return void response.writeHead(500).end();
    const body = pathname === '/x.attune' ? new Uint8Array(await packed.arrayBuffer()) : await files.read(name);
    if (body) return void response.end(body);
    // As a server of a single-page application does.
    if (pathname.startsWith('/spa')) response.setHeader('content-type', 'text/html').end('<!doctype html>');
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
  base = `http://localhost:${(server.address() as AddressInfo).port}`;
  best = await listOf(files);
});
afterAll(() => {
  server?.close();
  rmSync(dir, { recursive: true, force: true });
});

async function listOf(source: Parameters<typeof Recommender.load>[0]): Promise<string[]> {
  const recommender = await Recommender.load(source, { device });
  const { items } = await recommender.recommend({ history: HISTORY });
  recommender.close();
  return items.map(({ id, score }) => `${id} ${score}`);
}

describe('a model is loaded from', () => {
  it('bytes, a Blob, a File', async () => {
    expect(best).toHaveLength(10);
    const bytes = await packed.arrayBuffer();
    for (const source of [bytes, new Uint8Array(bytes), packed, new File([packed], 'x.attune')])
      expect(await listOf(source)).toEqual(best);
  });

  it('the path of a folder or a packed model, and their file: addresses', async () => {
    for (const name of ['my model', 'x.attune']) {
      const place = path.join(dir, name);
      for (const source of [place, pathToFileURL(place), pathToFileURL(place).href])
        expect(await listOf(source)).toEqual(best);
    }
  });

  it('the address of a folder, with a slash at its end or not, and of a packed model', async () => {
    for (const source of ['/models/shop', '/models/shop/', '/spa/shop', '/x.attune', '/x.attune?version=2'])
      expect(await listOf(`${base}${source}`)).toEqual(best);
    expect(await listOf(new URL(`${base}/x.attune`))).toEqual(best);
    expect(asked.filter((url) => /\/models\/shop\/model-\d+\.safetensors$/.test(url))).not.toEqual([]);
    expect(asked.filter((url) => url.includes('checkpoint'))).toEqual([]);
  });

  it('files that were picked: a folder of them, or one packed model', async () => {
    const names = await files.list();
    const picked = await Promise.all(
      names.map(async (name) => {
        const file = new File([(await files.read(name)) as BlobPart], name);
        Object.defineProperty(file, 'webkitRelativePath', { value: `my-model/${name}` });
        return file;
      }),
    );
    expect(await listOf(picked)).toEqual(best);
    expect(new PickedFiles(picked).where).toBe('my-model');
    expect(await listOf([new File([packed], 'x.attune')])).toEqual(best);
    await expect(listOf([new File(['a'], 'a.csv')])).rejects.toThrow(
      /^no model among the 1 files picked \(a\.csv\): there is no manifest\.json/,
    );
  });
});

describe('what is wrong is said in one line', () => {
  it.each([
    ['/nowhere/x.attune', /x\.attune: there is no such file$/],
    ['/broken/shop', /manifest\.json: the server answered 500/],
    ['/gone/', /gone: not a model folder \(there is no config\.json in it\)/],
  ])('%s', async (place, message) => {
    const source = place === '/gone/' ? `${base}/gone` : `${base}${place}`;
    const kept = files.read.bind(files);
    if (place === '/gone/') files.read = async () => null;
    try {
      await expect(listOf(source)).rejects.toThrow(message);
    } finally {
      files.read = kept;
    }
  });

  it('a path that is none, an answer that does not come, bytes that are none', async () => {
    await expect(listOf('gone')).rejects.toThrow(/^gone: no such folder or packed model$/);
    await expect(listOf('http://localhost:1/x.attune')).rejects.toThrow(/^http:\/\/localhost:1\/x\.attune: no answer/);
    await expect(listOf(new Uint8Array(100))).rejects.toThrow(/^packed model: no packed model, or cut short/);
    await expect((await openModel(`${base}/shop`)).write('a', 'b')).rejects.toThrow(/cannot be written to an address/);
  });
});
