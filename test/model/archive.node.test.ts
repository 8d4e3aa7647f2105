/** Packed models: the format by itself, against the system's zip and unzip, and what is wrong with broken ones. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { crc32 as crcOfNode } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import { InputError } from '../../data/errors.ts';
import { ArchiveFiles, archivePieces, crc32, rangesOf, rangesOfBlob } from '../../model/storage/archive.ts';
import { type Files, join, MemoryFiles } from '../../model/storage/files.ts';
import { saveCheckpoint, saveModel } from '../../model/storage/checkpoint.ts';
import { createFolder } from '../../model/storage/folder.ts';
import { loadModel } from '../../model/storage/load-model.ts';
import { copyModel, packModel } from '../../model/storage/pack.ts';
import { commit, Snapshot } from '../../model/storage/manifest.ts';
import { NodeFiles } from '../../recommend/sources/files.node.ts';
import { openPath } from '../../recommend/sources/sources.node.ts';
import { checkpointOf, configOf, itemsOf } from './folder.fixture.ts';

const dir = mkdtempSync(path.join(tmpdir(), 'attune-archive-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const bytesOf = (text: string) => new TextEncoder().encode(text);
const has = (command: string) => spawnSync(command, ['-v']).status === 0;

async function folder(): Promise<MemoryFiles> {
  const files = new MemoryFiles();
  await createFolder(files, configOf(4), itemsOf(4));
  const checkpoint = checkpointOf(3);
  await saveCheckpoint(files, checkpoint);
  await saveModel(files, checkpoint.params, { step: 3, epoch: 0, metrics: {} });
  await files.append('metrics.jsonl', '{"step":3}\n');
  return files;
}
const packed = async (options = {}) => join(await packModel(await folder(), options));
const PARTS = ['config.json', 'items.json', 'model.safetensors'] as const;
const FILES = [...PARTS, 'manifest.json', 'metrics.jsonl'].sort();

describe('packed models', () => {
  it('hold the folder, without the checkpoint unless it is asked for or all there is', async () => {
    const from = await folder();
    const read = await ArchiveFiles.open(rangesOf(await packed()), 'x.attune');
    expect(await read.list()).toEqual(FILES);
    const stored = await Snapshot.open(from);
    for (const name of PARTS) expect(await read.read(name)).toEqual(await stored.read(name));
    expect(await read.read('metrics.jsonl')).toEqual(await from.read('metrics.jsonl'));
    expect(await read.read('other.json')).toBeNull();
    const whole = await ArchiveFiles.open(
      rangesOfBlob(new Blob(await packModel(await folder(), { checkpoint: true }))),
      'x.attune',
    );
    expect(await whole.list()).toEqual(['checkpoint.safetensors', ...FILES]);
    await commit(from, { 'model.safetensors': null });
    const early = await ArchiveFiles.open(rangesOf(join(await packModel(from))), 'x.attune');
    expect(await early.list()).toContain('checkpoint.safetensors');
    await commit(from, { 'checkpoint.safetensors': null });
    await expect(packModel(from)).rejects.toThrow(/holds no weights yet/);
    await expect(packModel(new MemoryFiles('empty'))).rejects.toThrow(/^empty: not a model folder/);
  });

  it('are the same bytes each time, and their files begin at multiples of 64', async () => {
    const bytes = await packed();
    expect(await packed()).toEqual(bytes);
    const read = await ArchiveFiles.open(rangesOf(bytes), 'x.attune');
    for (const name of FILES) expect(((await read.read(name)) as Uint8Array).byteOffset % 64).toBe(0);
  });

  it('carry the checksum that ZIP asks for', () => {
    for (const text of ['', '123456789', 'naïve'.repeat(1000)])
      expect(crc32(bytesOf(text))).toBe(crcOfNode(bytesOf(text)));
    expect(crc32(bytesOf('123456789'))).toBe(0xcbf43926);
  });

  it.skipIf(!has('unzip'))('pass unzip -t, and unzip gives the folder', async () => {
    const file = path.join(dir, 'x.attune');
    writeFileSync(file, await packed());
    expect(execFileSync('unzip', ['-t', file], { encoding: 'utf8' })).toContain('No errors detected');
    execFileSync('unzip', ['-q', file, '-d', path.join(dir, 'out')]);
    const from = await folder();
    const stored = await Snapshot.open(from);
    for (const name of PARTS)
      expect(new Uint8Array(readFileSync(path.join(dir, 'out', name)))).toEqual(await stored.read(name));
    expect((await loadModel(await NodeFiles.open(path.join(dir, 'out')))).weights.note).toBeNull();
  });

  it.skipIf(!has('zip'))('made by a ZIP tool are read, too: compressed, and with the folder around them', async () => {
    const made = await NodeFiles.create(path.join(dir, 'my-model'));
    await copyModel(await folder(), made);
    execFileSync('zip', ['-q', '-9', '-r', 'zipped.attune', 'my-model'], { cwd: dir });
    const read = await openPath(path.join(dir, 'zipped.attune'));
    expect(await read.list()).toEqual(await made.list());
    const items = (files: Files) => Snapshot.open(files).then((snapshot) => snapshot.read('items.json'));
    expect(await items(read)).toEqual(await items(made));
  });

  it('copied into a folder give the folder back, which keeps what stands there', async () => {
    const to = new MemoryFiles('there');
    const from = await ArchiveFiles.open(rangesOf(await packed({ checkpoint: true })), 'x.attune');
    await copyModel(from, to);
    expect(await (await Snapshot.open(to)).parts()).toEqual(await (await Snapshot.open(from)).parts());
    await expect(copyModel(from, to)).rejects.toThrow(/^there: already holds a model/);
    await copyModel(from, to, { overwrite: true });
  });

  it('cannot be changed', async () => {
    const files = await ArchiveFiles.open(rangesOf(await packed()), 'x.attune');
    for (const change of [files.write('a', 'b'), files.append('a', 'b\n'), files.remove('a')])
      await expect(change).rejects.toThrow(/^x\.attune: a packed model is not changed/);
  });

  it('say in one line what is wrong with them', async () => {
    const bytes = await packed();
    const open = (part: Uint8Array) => ArchiveFiles.open(rangesOf(part), 'x.attune');
    for (const part of [new Uint8Array(0), bytesOf('<!doctype html>'), bytes.subarray(0, bytes.length - 30)])
      await expect(open(part)).rejects.toThrow(/^x\.attune: no packed model, or cut short/);
    await expect(open(bytes.subarray(40))).rejects.toThrow(/^x\.attune: .*(damaged|cut short)/);
    await expect(open(join(archivePieces([{ name: 'a.txt', bytes: bytesOf('a') }])))).rejects.toThrow(
      /there is no manifest\.json or config\.json in it/,
    );
    const torn = bytes.slice();
    const at = new TextDecoder('latin1').decode(torn).indexOf('"title"');
    torn[at + 3] ^= 1;
    const read = await open(torn);
    expect(await read.read('config.json')).not.toBeNull();
    await expect(read.read('items.json')).rejects.toThrow(/^x\.attune: items\.json: damaged \(its checksum/);
    await expect(read.read('items.json')).rejects.toBeInstanceOf(InputError);
  });
});
