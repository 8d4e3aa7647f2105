/** Every example runs as a reader runs it, and says what it promises. */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { build, root } from './e2e/paths.ts';
import { SAYS } from './examples.ts';

describe('examples', () => {
  beforeAll(build);

  it.each(readdirSync(`${root}/examples`).filter((name) => name.endsWith('.ts')))('%s', (file) => {
    const name = file.replace(/\.ts$/, '');
    const output = execFileSync(process.execPath, [`dist/examples/${name}.js`], {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    expect(SAYS[name], 'what it must say, in this test').toBeDefined();
    for (const pattern of SAYS[name]) expect(output).toMatch(pattern);
  });
});
