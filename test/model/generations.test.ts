/**
 * A kill at any moment leaves one generation whole. Every write and removal of every writer is the last one in turn; what
 * is there afterwards must load as the model from before or the one from after, and the next writer must clean up.
 */
import { describe, expect, it } from 'vitest';
import { InputError } from '../../data/errors.ts';
import { addItems } from '../../model/storage/add-items.ts';
import { type Content, type Files, MemoryFiles } from '../../model/storage/files.ts';
import { loadCheckpoint, saveCheckpoint, saveModel } from '../../model/storage/checkpoint.ts';
import { saveBlend } from '../../model/storage/config.ts';
import { appendMetrics, createFolder } from '../../model/storage/folder.ts';
import { loadModel } from '../../model/storage/load-model.ts';
import { copyModel } from '../../model/storage/pack.ts';
import { commit, MANIFEST, PARTS, Snapshot } from '../../model/storage/manifest.ts';
import { checkpointOf, configOf, itemsOf, modelIn, standing } from './folder.fixture.ts';

class Killed extends Error {}

/** Dies before its n-th change, and changes nothing from then on. */
class MortalFiles extends MemoryFiles {
  left = Number.POSITIVE_INFINITY;
  changes = 0;

  private change(): void {
    if (this.left <= 0) throw new Killed();
    this.left--;
    this.changes++;
  }

  override async write(name: string, content: Content): Promise<void> {
    this.change();
    await super.write(name, content);
  }

  override async append(name: string, text: string): Promise<void> {
    this.change();
    await super.append(name, text);
  }

  override async remove(name: string): Promise<void> {
    this.change();
    await super.remove(name);
  }
}

/** A folder with best weights of step 4 and checkpoint 5, with a manifest or as it was before there was one. */
async function mortal(older: boolean): Promise<MortalFiles> {
  const files = await modelIn(new MortalFiles('m'));
  await appendMetrics(files, { step: 5 });
  await files.write('notes-000001.txt', 'my own');
  await files.write('model.onnx', 'my own');
  if (!older) return files;
  const snapshot = await Snapshot.open(files);
  const plain = new MortalFiles('m');
  for (const part of await snapshot.parts()) await plain.write(part, (await snapshot.read(part)) as Uint8Array);
  for (const name of ['metrics.jsonl', 'notes-000001.txt', 'model.onnx'])
    await plain.write(name, (await files.read(name)) as Uint8Array);
  return plain;
}

/** All that the parts hold, or why they do not load. */
async function stateOf(files: Files): Promise<string> {
  const snapshot = await Snapshot.open(files);
  const parts: unknown[] = [];
  for (const part of await snapshot.parts()) parts.push([part, Array.from((await snapshot.read(part)) as Uint8Array)]);
  await loadCheckpoint(files);
  const loaded = await loadModel(files).catch((error: unknown) => {
    expect(error).toBeInstanceOf(InputError);
    expect((error as Error).message).toContain('no weights yet');
  });
  expect(loaded === undefined).toBe(!(await snapshot.has('model.safetensors')));
  return JSON.stringify(parts);
}

const blend = { memory: 0, epsilon: 1, fitted: { users: 1, transformer: {}, memory: {}, blend: {} } };
const items = [{ id: 'new', title: 'New', attributes: {} }];

const WRITERS: [string, (files: Files) => Promise<unknown>][] = [
  ['the best weights', (files) => saveModel(files, checkpointOf(6).params, { ...standing, step: 6 })],
  ['a checkpoint', (files) => saveCheckpoint(files, checkpointOf(7))],
  ['several parts at once', (files) => commit(files, { 'config.json': configText(), 'checkpoint.safetensors': null })],
  ['--overwrite', (files) => createFolder(files, configOf(3), itemsOf(3), { overwrite: true })],
  [
    'unpacking over it',
    async (files) => {
      const other = new MemoryFiles('other');
      await createFolder(other, configOf(3), itemsOf(3));
      await saveModel(other, checkpointOf(9, 3).params, standing);
      await copyModel(other, files, { overwrite: true });
    },
  ],
];

const configText = (): string => JSON.stringify({ ...configOf(4), created: 'later' });

describe.each([
  ['with a manifest', false],
  ['of an earlier version', true],
])('in a folder %s', (_, older) => {
  it.each(WRITERS)('%s', async (_name, write) => {
    const before = await stateOf(await mortal(older));
    const whole = await mortal(older);
    const started = whole.changes;
    await write(whole);
    const after = await stateOf(whole);
    expect(after).not.toBe(before);
    const changes = whole.changes - started;
    expect(changes).toBeGreaterThan(2);
    let done = false;
    for (let n = 0; n < changes; n++) {
      const files = await mortal(older);
      files.left = n;
      await expect(write(files)).rejects.toBeInstanceOf(Killed);
      const found = await stateOf(files);
      expect([before, after], `killed before change ${n} of ${changes}`).toContain(found);
      // Once it is there it stays.
      if (done) expect(found).toBe(after);
      done = found === after;

      files.left = Number.POSITIVE_INFINITY;
      await write(files);
      expect(await stateOf(files)).toBe(after);
      await expectClean(files);
    }
  });
});

/** No part is left that the manifest does not list, and what is the user's own is there. */
async function expectClean(files: Files): Promise<void> {
  const manifest = JSON.parse(new TextDecoder().decode((await files.read(MANIFEST)) as Uint8Array));
  const current = Object.values(manifest.files as Record<string, { file: string }>).map(({ file }) => file);
  const others = (await files.list()).filter((name) => !current.includes(name) && name !== 'metrics.jsonl');
  expect(others).toEqual([MANIFEST, 'model.onnx', 'notes-000001.txt']);
}

it('a new folder: before its manifest names a config there is no model, and it can be started again', async () => {
  for (let n = 0; n < 6; n++) {
    const files = new MortalFiles('m');
    files.left = n;
    await expect(createFolder(files, configOf(4), itemsOf(4))).rejects.toBeInstanceOf(Killed);
    await expect(loadModel(files)).rejects.toThrow(/not a model folder/);
    files.left = Number.POSITIVE_INFINITY;
    await createFolder(files, configOf(4), itemsOf(4));
    expect((await Snapshot.open(files)).generation).toBe(1);
  }
});

it('a reader that a writer overtakes reads the new generation whole', async () => {
  const files = await mortal(false);
  let overtaken = 0;
  const read = files.read.bind(files);
  files.read = async (name) => {
    if (name === MANIFEST || overtaken > 2) return read(name);
    overtaken++;
    const step = 10 + overtaken;
    files.read = read;
    await saveModel(files, checkpointOf(step).params, { ...standing, step });
    await commit(files, { 'config.json': configText(), 'items.json': JSON.stringify({ items: itemsOf(4) }) });
    return read(name);
  };
  const { weights, tensors, config } = await loadModel(files);
  expect(overtaken).toBe(1);
  expect(weights.step).toBe(11);
  expect(new Set(tensors.get('items.weight')?.data)).toEqual(new Set([11]));
  expect(config.created).toBe('later');
});

it('what the manifest lists is what is there: size and SHA-256 of every part', async () => {
  const files = await mortal(false);
  await saveBlend(files, blend);
  const { files: listed } = JSON.parse(new TextDecoder().decode((await files.read(MANIFEST)) as Uint8Array));
  expect(Object.keys(listed)).toEqual(PARTS.filter((part) => part in listed));
  for (const { file, bytes, sha256 } of Object.values(listed) as { file: string; bytes: number; sha256: string }[]) {
    const content = (await files.read(file)) as Uint8Array;
    expect(content.length).toBe(bytes);
    const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', content as Uint8Array<ArrayBuffer>));
    expect(sha256).toBe(Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join(''));
  }
  await expect(addItems(files, items)).rejects.toThrow(/there is no memory\.safetensors/);
});
