/** Builds the application and the operator's page, once for all tests of them, and empties the folder of their pictures and traces. */
import { mkdirSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

export default async function setup(): Promise<void> {
  const { NODE_ENV } = process.env; // vitest's is `test`, which Vite would build for
  process.env.NODE_ENV = 'production';
  for (const config of ['vite.config.ts', 'operator/vite.config.ts']) {
    const configFile = fileURLToPath(new URL(`../../web/${config}`, import.meta.url));
    await build({ configFile, logLevel: 'error' });
  }
  process.env.NODE_ENV = NODE_ENV;
  const output = new URL('output/', import.meta.url);
  rmSync(output, { recursive: true, force: true });
  mkdirSync(output);
}
