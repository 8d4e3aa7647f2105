/** The file system of Node behind the `Files` interface: a write is whole and durable, or it has not happened. */
import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { InputError } from '../../data/errors.ts';
import { type Content, checkName, type Files, piecesOf } from '../../model/storage/files.ts';

/** Files being written, and what a kill left of them: `.NAME.PID-COUNT.tmp`. */
const TEMPORARY = /^\..+\.\d+-\d+\.tmp$/;
/** Node reads and writes less than 2 GiB at once. */
const CHUNK = 1 << 30;
let count = 0;

/** A temporary name in the file's folder that no other writer uses. */
export function temporaryPath(file: string): string {
  return path.join(path.dirname(file), `.${path.basename(file)}.${process.pid}-${count++}.tmp`);
}

/** Removes what killed writers left. Call it under the folder's lock, when no other process writes there. */
export async function cleanTemporary(dir: string): Promise<void> {
  for (const name of await readdir(dir)) {
    if (TEMPORARY.test(name)) await rm(path.join(dir, name), { force: true });
  }
}

/** What `store` needs of a file handle: published declarations may not require Node's types. */
interface Writable {
  write(bytes: Uint8Array, offset: number, length: number): Promise<{ bytesWritten: number }>;
}

export class NodeFiles implements Files {
  readonly where: string;

  /** A folder that exists; see {@link NodeFiles.open} and {@link NodeFiles.create}. */
  constructor(dir: string) {
    this.where = dir;
  }

  /** @throws InputError when there is no such folder */
  static async open(dir: string): Promise<NodeFiles> {
    const there = await stat(dir).catch(() => null);
    if (!there) throw new InputError('not-found', `${dir}: no such folder`);
    if (!there.isDirectory()) throw new InputError('not-a-model', `${dir}: is a file; a model is a folder`);
    return new NodeFiles(dir);
  }

  /** Makes the folder, and those above it, where they are missing. */
  static async create(dir: string): Promise<NodeFiles> {
    try {
      const made = await mkdir(dir, { recursive: true });
      if (made) await syncFolder(path.dirname(made));
    } catch (error) {
      throw explain(error, dir, 'make the folder');
    }
    return NodeFiles.open(dir);
  }

  async read(name: string): Promise<Uint8Array | null> {
    const file = this.path(name);
    let handle: FileHandle | null = null;
    try {
      handle = await open(file, 'r');
      const bytes = new Uint8Array((await handle.stat()).size);
      let at = 0;
      while (at < bytes.length) {
        const { bytesRead } = await handle.read(bytes, at, Math.min(CHUNK, bytes.length - at), at);
        if (bytesRead === 0) break;
        at += bytesRead;
      }
      return at < bytes.length ? bytes.subarray(0, at) : bytes;
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return null;
      throw explain(error, file, 'read');
    } finally {
      await handle?.close();
    }
  }

  async write(name: string, content: Content): Promise<void> {
    const file = this.path(name);
    const temporary = temporaryPath(file);
    try {
      const handle = await open(temporary, 'wx');
      try {
        for (const piece of piecesOf(content)) await this.store(handle, piece);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(temporary, file);
      await syncFolder(this.where);
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => {});
      throw explain(error, file, 'write');
    }
  }

  async append(name: string, text: string): Promise<void> {
    const file = this.path(name);
    try {
      const handle = await open(file, 'a+');
      try {
        const size = await wholeLines(handle);
        await handle.truncate(size);
        try {
          await this.store(handle, new TextEncoder().encode(text));
        } catch (error) {
          await handle.truncate(size);
          throw error;
        }
        await handle.sync();
      } finally {
        await handle.close();
      }
    } catch (error) {
      throw explain(error, file, 'write');
    }
  }

  async list(): Promise<string[]> {
    const entries = await readdir(this.where, { withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile() && !TEMPORARY.test(entry.name))
      .map((entry) => entry.name)
      .sort();
  }

  async remove(name: string): Promise<void> {
    const file = this.path(name);
    try {
      await rm(file, { force: true });
      await syncFolder(this.where);
    } catch (error) {
      throw explain(error, file, 'remove');
    }
  }

  sha256(pieces: readonly Uint8Array[]): string {
    const hash = createHash('sha256');
    for (const piece of pieces) hash.update(piece);
    return hash.digest('hex');
  }

  /** Writes all bytes at the handle's end. Tests override it to fail half-way. */
  protected async store(handle: Writable, bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length; ) {
      at += (await handle.write(bytes, at, Math.min(CHUNK, bytes.length - at))).bytesWritten;
    }
  }

  private path(name: string): string {
    checkName(name);
    return path.join(this.where, name);
  }
}

/** Length of the file up to and including its last newline. */
async function wholeLines(handle: FileHandle): Promise<number> {
  let end = (await handle.stat()).size;
  const block = new Uint8Array(4096);
  while (end > 0) {
    const from = Math.max(0, end - block.length);
    const { bytesRead } = await handle.read(block, 0, end - from, from);
    const newline = block.subarray(0, bytesRead).lastIndexOf(0x0a);
    if (newline >= 0) return from + newline + 1;
    end = from;
  }
  return 0;
}

/** Makes a rename durable. Windows and some network file systems cannot sync a folder; there it is left to them. */
async function syncFolder(dir: string): Promise<void> {
  const handle = await open(dir, 'r').catch(() => null);
  await handle?.sync().catch(() => {});
  await handle?.close();
}

function codeOf(error: unknown): string | undefined {
  return (error as NodeJS.ErrnoException)?.code;
}

/** One line a user can act on. */
export function explain(error: unknown, file: string, doing: string): Error {
  if (error instanceof InputError || !codeOf(error)) return error as Error;
  switch (codeOf(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG':
      return new InputError(
        'file-access',
        `${file}: the disk is full, so this was not saved (what was saved before is intact)`,
        { hint: 'free some space and try again', cause: error },
      );
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new InputError('file-access', `${file}: no permission to ${doing} here`, { cause: error });
    case 'ENOTDIR':
    case 'EEXIST':
      return new InputError('file-access', `${file}: a file is where a folder is needed`, {
        hint: 'choose another path',
        cause: error,
      });
    case 'ENOENT':
      return new InputError('not-found', `${file}: cannot ${doing}, the folder is gone`, { cause: error });
    case 'EISDIR':
      return new InputError('file-access', `${file}: is a folder where a file is needed`, { cause: error });
    default:
      return new InputError('file-access', `${file}: cannot ${doing} (${(error as Error).message})`, { cause: error });
  }
}
