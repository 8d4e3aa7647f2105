/** A model folder on a web server, read by fetch. */
import { InputError } from '../../data/errors.ts';
import { checkName, ReadOnlyFiles } from '../../model/storage/files.ts';

export class UrlFiles extends ReadOnlyFiles {
  readonly where: string;
  private readonly base: URL;

  /** @param folder the folder's address, with or without a slash at its end */
  constructor(folder: URL) {
    super();
    this.base = new URL(folder);
    if (!this.base.pathname.endsWith('/')) this.base.pathname += '/';
    this.where = this.base.href.replace(/\/$/, '');
  }

  /** null where the server says that there is none, or answers with a page (as servers of single-page applications do). */
  async read(name: string): Promise<Uint8Array | null> {
    checkName(name);
    const response = await get(new URL(encodeURIComponent(name), this.base));
    if (response === null || response.headers.get('content-type')?.startsWith('text/html')) return null;
    return bytesOf(response);
  }

  /** The address knows no list. */
  async list(): Promise<string[]> {
    throw new InputError('file-access', `${this.where}: the files of an address cannot be listed`, {
      hint: 'use a folder or a packed model',
    });
  }

  protected refuse(name: string): never {
    throw new InputError('file-access', `${this.where}: ${name} cannot be written to an address`);
  }
}

/** Fetches one file. @throws InputError where there is none, or no answer */
export async function download(url: URL): Promise<Uint8Array> {
  const response = await get(url);
  if (response === null) throw new InputError('not-found', `${url.href}: there is no such file`);
  return bytesOf(response);
}

/** @returns null when there is no such file */
async function get(url: URL): Promise<Response | null> {
  let response: Response;
  try {
    response = await fetch(url);
  } catch (error) {
    throw new InputError(
      'file-access',
      `${url.href}: no answer (${(error as Error).message}); from another origin the server must allow it (CORS)`,
      { cause: error },
    );
  }
  if (response.status === 404 || response.status === 410) return null;
  if (!response.ok)
    throw new InputError('file-access', `${url.href}: the server answered ${response.status} ${response.statusText}`);
  return response;
}

async function bytesOf(response: Response): Promise<Uint8Array> {
  try {
    return new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    throw new InputError('file-access', `${response.url}: the connection broke (${(error as Error).message})`, {
      hint: 'try again',
      cause: error,
    });
  }
}
