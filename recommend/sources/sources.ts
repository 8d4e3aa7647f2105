/** Where a model may come from: an address, a file, a folder, or bytes. */
import { InputError } from '../../data/errors.ts';
import { ARCHIVE_SUFFIX, ArchiveFiles, rangesOf, rangesOfBlob } from '../../model/storage/archive.ts';
import type { Files } from '../../model/storage/files.ts';
import { DirectoryFiles, PickedFiles } from './files.browser.ts';
import { download, UrlFiles } from './files.url.ts';

/**
 * - an address: of a packed model (`….attune`, `blob:` and `data:` addresses), or of a folder, whose files are fetched as
 *   they are needed. A relative one counts from the page (in a worker, from its script)
 * - a packed model as a File, a Blob or its bytes
 * - a folder by its handle, or the files of one (`<input type="file" webkitdirectory>`, also one packed model among them)
 * - any {@link Files}
 *
 * In Node, text that is no address is a path, of a folder or a packed model.
 */
export type ModelSource =
  | string
  | URL
  | Blob
  | ArrayBuffer
  | Uint8Array
  | FileSystemDirectoryHandle
  | FileSystemFileHandle
  | FileList
  | readonly File[]
  | Files;

/**
 * The files of a model, wherever it is.
 * @throws InputError, one line, when there is none
 */
export async function openModel(source: ModelSource): Promise<Files> {
  if (typeof source === 'string') return openAddress(addressOf(source));
  if (source instanceof URL) return openAddress(source);
  if (source instanceof ArrayBuffer) return ArchiveFiles.open(rangesOf(new Uint8Array(source)), 'packed model');
  if (source instanceof Uint8Array) return ArchiveFiles.open(rangesOf(source), 'packed model');
  if (source instanceof Blob) return openBlob(source);
  if (isFiles(source)) return source;
  if ('kind' in source) return source.kind === 'file' ? openBlob(await source.getFile()) : new DirectoryFiles(source);
  const files = Array.from(source);
  const packed = files.filter(({ name }) => name.endsWith(ARCHIVE_SUFFIX));
  return packed.length === 1 && files.length === 1 ? openBlob(packed[0]) : new PickedFiles(files);
}

const isFiles = (source: object): source is Files => 'where' in source && 'read' in source;

function openBlob(blob: Blob): Promise<ArchiveFiles> {
  return ArchiveFiles.open(rangesOfBlob(blob), (blob as Partial<File>).name || 'packed model');
}

async function openAddress(url: URL): Promise<Files> {
  const packed = url.pathname.endsWith(ARCHIVE_SUFFIX) || url.protocol === 'blob:' || url.protocol === 'data:';
  if (!packed) return new UrlFiles(url);
  const where = url.protocol === 'data:' ? 'data: address' : url.href;
  return ArchiveFiles.open(rangesOf(await download(url)), where);
}

function addressOf(text: string): URL {
  const base = (globalThis as { location?: { href?: string } }).location?.href;
  try {
    return new URL(text, (globalThis as { document?: Document }).document?.baseURI ?? base);
  } catch {
    throw new InputError('not-a-model', `${text}: not the address of a model`);
  }
}
