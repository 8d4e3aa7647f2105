/** What is written in one go: text, bytes, or pieces laid end to end (so that large tensors need not be copied). */
export type Content = string | Uint8Array | readonly Uint8Array[];

/**
 * One flat folder of files, as the model folder needs it. Node's is in recommend/sources/files.node.ts, the browser and the
 * tests use {@link MemoryFiles}. Names are plain file names; a name with a path in it is refused.
 */
export interface Files {
  /** The folder as the user knows it: error messages start with it. */
  readonly where: string;
  /** The whole file, or null when there is none. */
  read(name: string): Promise<Uint8Array | null>;
  /**
   * Replaces the file as a whole. Afterwards the new content is durable; after a failure or a kill at any moment the
   * old content is still there. Pieces are not copied: leave them alone until the promise settles.
   * @throws InputError when the disk is full or the folder cannot be written
   */
  write(name: string, content: Content): Promise<void>;
  /** Adds whole lines (`text` ends in a newline). A torn last line that a kill left behind is cut off first. */
  append(name: string, text: string): Promise<void>;
  /** Names of the files, sorted, without temporary ones. */
  list(): Promise<string[]>;
  /** Removes the file; no error when there is none. */
  remove(name: string): Promise<void>;
  /** Whether reading checks checksums of its own, as packed models have them. */
  readonly checked?: boolean;
  /** The SHA-256 of these bytes in hexadecimal digits, where the platform computes it faster than JavaScript. */
  sha256?(pieces: readonly Uint8Array[]): string;
}

/** Refuses anything but a plain file name. */
export function checkName(name: string): void {
  if (name === '' || name === '.' || name === '..' || /[/\\\0]/.test(name)) {
    throw new Error(`files: expected a plain file name, got ${JSON.stringify(name)}`);
  }
}

/** The pieces of a content, text as UTF-8. */
export function piecesOf(content: Content): readonly Uint8Array[] {
  if (typeof content === 'string') return [new TextEncoder().encode(content)];
  return content instanceof Uint8Array ? [content] : content;
}

/** All pieces in one array. */
export function join(pieces: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.byteLength, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.byteLength;
  }
  return bytes;
}

/** Files that are only read: what would change one is refused. */
export abstract class ReadOnlyFiles implements Files {
  abstract readonly where: string;
  abstract read(name: string): Promise<Uint8Array | null>;
  abstract list(): Promise<string[]>;
  /** @throws InputError, why it is not written and what to do instead */
  protected abstract refuse(name: string): never;

  async write(name: string, _content: Content): Promise<void> {
    this.refuse(name);
  }

  async append(name: string, _text: string): Promise<void> {
    this.refuse(name);
  }

  async remove(name: string): Promise<void> {
    this.refuse(name);
  }
}

/** Files in memory, for the browser and for tests. */
export class MemoryFiles implements Files {
  readonly where: string;
  private readonly files = new Map<string, Uint8Array>();

  constructor(where = 'memory') {
    this.where = where;
  }

  async read(name: string): Promise<Uint8Array | null> {
    checkName(name);
    return this.files.get(name)?.slice() ?? null;
  }

  async write(name: string, content: Content): Promise<void> {
    checkName(name);
    this.files.set(name, join(piecesOf(content)));
  }

  async append(name: string, text: string): Promise<void> {
    checkName(name);
    const old = this.files.get(name) ?? new Uint8Array(0);
    const whole = old.subarray(0, old.lastIndexOf(0x0a) + 1);
    this.files.set(name, join([whole, new TextEncoder().encode(text)]));
  }

  async list(): Promise<string[]> {
    return [...this.files.keys()].sort();
  }

  async remove(name: string): Promise<void> {
    checkName(name);
    this.files.delete(name);
  }
}
