/** Packages that only one command needs: optional peers, which npm does not install by itself. */
import { createRequire } from 'node:module';
import { InputError } from '../data/errors.ts';

/** Packages of sources alone, and those that are of use without the others, which are the server's. */
const SOURCES = ['@duckdb/node-api'];
const ALONE = [...SOURCES, 'pg'];

/** An import that failed for want of a package says which to install; any other error is thrown as it is. */
export function missingPackage(error: NodeJS.ErrnoException): never {
  const [, name] = /^Cannot find package '([^']+)'/.exec(error.message) ?? [];
  if (error.code !== 'ERR_MODULE_NOT_FOUND' || name === undefined) throw error;
  const { peerDependencies } = createRequire(import.meta.url)('attune/package.json') as {
    peerDependencies: Record<string, string>;
  };
  const needed = ALONE.includes(name)
    ? [name]
    : Object.keys(peerDependencies).filter((peer) => !SOURCES.includes(peer));
  const versions = needed.map((peer) => `${peer}@${peerDependencies[peer].replace(/^\D+/, '')}`);
  throw new InputError('not-found', `the package ${name} is not installed, and this command needs it`, {
    hint: `npm install ${versions.join(' ')}`,
  });
}
