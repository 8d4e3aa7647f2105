/** Builds the application, once for all tests of it, and empties the folder of their pictures and traces. */
import { mkdirSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';
import { build as buildPackage } from '../e2e/paths.ts';

export default async function setup(): Promise<void> {
  buildPackage(); // the operator's page belongs to it
  const { NODE_ENV } = process.env; // vitest's is `test`, which Vite would build for
  process.env.NODE_ENV = 'production';
  const configFile = fileURLToPath(new URL('../../web/vite.config.ts', import.meta.url));
  await build({ configFile, logLevel: 'error' });
  process.env.NODE_ENV = NODE_ENV;
  const output = new URL('output/', import.meta.url);
  rmSync(output, { recursive: true, force: true });
  mkdirSync(output);
}
