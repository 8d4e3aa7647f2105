/** Where a model may come from in Node: as in a browser, and paths. */
import { type FileHandle, open, stat } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { InputError } from '../../data/errors.ts';
import { ArchiveFiles, type ByteRanges } from '../../model/storage/archive.ts';
import type { Files } from '../../model/storage/files.ts';
import { explain, NodeFiles } from './files.node.ts';
import { type ModelSource, openModel } from './sources.ts';

const ADDRESS = /^(?:https?|blob|data):/i;

/**
 * The files of a model: a folder, or a packed model, by path; or any other source.
 * @throws InputError, one line, when there is none
 */
export async function openModelInNode(source: ModelSource): Promise<Files> {
  if (typeof source === 'string') {
    if (ADDRESS.test(source)) return openModel(source);
    return openPath(/^file:\/\//i.test(source) ? fileURLToPath(source) : source);
  }
  return source instanceof URL && source.protocol === 'file:' ? openPath(fileURLToPath(source)) : openModel(source);
}

/** A model by its path: a folder, or one packed file. @throws InputError */
export async function openPath(path: string): Promise<Files> {
  const there = await stat(path).catch(() => null);
  if (!there) throw new InputError('not-found', `${path}: no such folder or packed model`);
  if (there.isDirectory()) return NodeFiles.open(path);
  return ArchiveFiles.open(rangesOfFile(path, there.size), path);
}

/** A file that is opened for each read, so that nothing has to be closed. */
function rangesOfFile(path: string, size: number): ByteRanges {
  return {
    size,
    async read(begin, end) {
      let handle: FileHandle | null = null;
      try {
        handle = await open(path, 'r');
        const bytes = new Uint8Array(end - begin);
        for (let at = 0; at < bytes.length; ) {
          const { bytesRead } = await handle.read(bytes, at, Math.min(1 << 30, bytes.length - at), begin + at);
          if (bytesRead === 0) throw new InputError('damaged-model', `${path}: cut short while it was read`);
          at += bytesRead;
        }
        return bytes;
      } catch (error) {
        throw explain(error, path, 'read');
      } finally {
        await handle?.close();
      }
    },
  };
}
