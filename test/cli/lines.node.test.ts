import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { bufferedLines } from '../../cli/output/lines.ts';

it('writes the lines that wait together, in their order', async () => {
  const writes: string[] = [];
  const lines = bufferedLines({ write: (text) => writes.push(text) });
  for (let i = 0; i < 5; i++) lines.write(`${i}\n`);
  expect(writes).toEqual([]);
  await expect.poll(() => writes).toEqual(['0\n1\n2\n3\n4\n']);
  lines.write('later\n');
  await expect.poll(() => writes).toHaveLength(2);
});

it('writes what waits when the process exits', () => {
  const file = fileURLToPath(new URL('../../dist/cli/output/lines.js', import.meta.url));
  const code = `import { bufferedLines } from ${JSON.stringify(file)};
    bufferedLines(process.stdout).write('last words\\n');
    process.exit(3);`;
  const run = () => execFileSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' });
  expect(run).toThrow(expect.objectContaining({ status: 3, stdout: 'last words\n' }));
});
