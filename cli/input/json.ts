/** JSON files that commands keep beside their results. */
import { InputError } from '../../data/errors.ts';
import type { NodeFiles } from '../../recommend/sources/files.node.ts';

/** What a file holds; null where there is none. @throws InputError where it is no JSON, with `hint` */
export async function readJson<T>(files: NodeFiles, name: string, hint: string): Promise<T | null> {
  const bytes = await files.read(name);
  if (!bytes) return null;
  try {
    return JSON.parse(new TextDecoder().decode(bytes)) as T;
  } catch {
    throw new InputError('unreadable-file', `${files.where}/${name}: not readable as JSON`, { hint });
  }
}
