/** A model folder in a browser: a folder that was picked or dropped, or one of the origin's private file system. */
import { InputError } from '../../data/errors.ts';
import { checkName, type Content, type Files, piecesOf, ReadOnlyFiles } from '../../model/storage/files.ts';

/** A folder by its handle (`showDirectoryPicker()`, `navigator.storage.getDirectory()`, a drop). */
export class DirectoryFiles implements Files {
  readonly where: string;
  private readonly folder: FileSystemDirectoryHandle;

  constructor(folder: FileSystemDirectoryHandle) {
    this.folder = folder;
    this.where = folder.name || 'private file system';
  }

  async read(name: string): Promise<Uint8Array | null> {
    checkName(name);
    try {
      const file = await (await this.folder.getFileHandle(name)).getFile();
      return new Uint8Array(await file.arrayBuffer());
    } catch (error) {
      if ((error as DOMException).name === 'NotFoundError') return null;
      throw this.explain(error, name, 'read');
    }
  }

  /** The browser writes to a temporary file and replaces the file by it at the end. */
  async write(name: string, content: Content): Promise<void> {
    checkName(name);
    await this.store(name, (stream) => writeAll(stream, piecesOf(content)));
  }

  async append(name: string, text: string): Promise<void> {
    const old = (await this.read(name)) ?? new Uint8Array(0);
    const whole = old.subarray(0, old.lastIndexOf(0x0a) + 1);
    await this.store(name, (stream) => writeAll(stream, [whole, new TextEncoder().encode(text)]));
  }

  async list(): Promise<string[]> {
    const names: string[] = [];
    // TypeScript's DOM types do not know that a directory's handle is iterable.
    const entries = this.folder as unknown as AsyncIterable<[string, FileSystemHandle]>;
    for await (const [name, { kind }] of entries) if (kind === 'file') names.push(name);
    return names.sort();
  }

  async remove(name: string): Promise<void> {
    checkName(name);
    try {
      await this.folder.removeEntry(name);
    } catch (error) {
      if ((error as DOMException).name !== 'NotFoundError') throw this.explain(error, name, 'remove');
    }
  }

  private async store(name: string, fill: (stream: FileSystemWritableFileStream) => Promise<void>): Promise<void> {
    let stream: FileSystemWritableFileStream | null = null;
    try {
      stream = await (await this.folder.getFileHandle(name, { create: true })).createWritable();
      await fill(stream);
      await stream.close();
    } catch (error) {
      await stream?.abort().catch(() => {});
      throw this.explain(error, name, 'write');
    }
  }

  /** One line a user can act on. */
  private explain(error: unknown, name: string, doing: string): Error {
    const { name: kind, message } = error as DOMException;
    const what =
      kind === 'QuotaExceededError'
        ? 'the browser gives this site no more space, so this was not saved (what was saved before is intact); free some and try again'
        : kind === 'NotAllowedError'
          ? `no permission to ${doing} here; allow it when the browser asks`
          : `cannot ${doing} (${message})`;
    return new InputError('file-access', `${this.where}/${name}: ${what}`, { cause: error });
  }
}

async function writeAll(stream: FileSystemWritableFileStream, pieces: readonly Uint8Array[]): Promise<void> {
  for (const piece of pieces) await stream.write(piece as Uint8Array<ArrayBuffer>);
}

/** The files of `<input type="file" webkitdirectory>` or a drop: one folder of them, read only. */
export class PickedFiles extends ReadOnlyFiles {
  readonly where: string;
  private readonly files: ReadonlyMap<string, File>;

  /** @throws InputError where no file of them is called manifest.json, or config.json as in older models */
  constructor(files: readonly File[]) {
    super();
    const known = ['manifest.json', 'config.json'].map((wanted) => files.find(({ name }) => name === wanted));
    const found = known[0] ?? known[1];
    if (!found) {
      const names = files.slice(0, 3).map(({ name }) => name);
      throw new InputError(
        'not-a-model',
        `no model among the ${files.length} files picked (${names.join(', ')}${files.length > 3 ? ', …' : ''}): there is no manifest.json`,
      );
    }
    const folderOf = ({ webkitRelativePath: path }: File): string => path.slice(0, path.lastIndexOf('/') + 1);
    const folder = folderOf(found);
    this.where = folder.replace(/\/$/, '') || 'the files picked';
    this.files = new Map(files.filter((file) => folderOf(file) === folder).map((file) => [file.name, file]));
  }

  async read(name: string): Promise<Uint8Array | null> {
    checkName(name);
    const file = this.files.get(name);
    try {
      return file ? new Uint8Array(await file.arrayBuffer()) : null;
    } catch (error) {
      throw new InputError(
        'file-access',
        `${this.where}/${name}: cannot read (${(error as Error).message}); has it changed since it was picked?`,
      );
    }
  }

  async list(): Promise<string[]> {
    return [...this.files.keys()].sort();
  }

  protected refuse(name: string): never {
    throw new InputError(
      'file-access',
      `${this.where}: picked files can only be read, so that ${name} cannot be written`,
    );
  }
}
