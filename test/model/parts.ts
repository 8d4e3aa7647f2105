/** Where the parts of a model folder on disk are, by its manifest alone. */
import { readFileSync } from 'node:fs';
import path from 'node:path';

export function manifestOf(dir: string): Record<string, { file: string; bytes: number; sha256: string }> {
  return JSON.parse(readFileSync(path.join(dir, 'manifest.json'), 'utf8')).files;
}

/** The current file of a part: `model/config.json` may be model/config-000001.json. */
export function partPath(where: string): string {
  const [dir, part] = [path.dirname(where), path.basename(where)];
  return path.join(dir, manifestOf(dir)[part]?.file ?? `no ${part}`);
}
