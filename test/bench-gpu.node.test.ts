/** The run for a machine with a GPU, as it is carried there: prepared into a folder, started by the Node in it alone. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'attune-bench-gpu-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const run = join(root, 'bench/gpu/run.mjs');
const prepared = join(folder, 'prepared');
const out = join(folder, 'result.json');

/** With nothing of this machine but its programs, and the driver's cache of compiled shaders. */
const carried = (...args: string[]) =>
  spawnSync(join(prepared, 'node'), [join(prepared, 'bench/gpu/run.mjs'), ...args], {
    cwd: folder,
    encoding: 'utf8',
    env: { PATH: '/usr/bin:/bin', MESA_SHADER_CACHE_DIR: join(process.env.HOME ?? folder, '.cache') },
  });

it('runs every part from the prepared folder, and writes what each found', () => {
  const made = spawnSync(process.execPath, [run, '--prepare', prepared, '--no-archive'], { encoding: 'utf8' });
  expect(made.status, made.stderr).toBe(0);
  expect(existsSync(join(prepared, 'test'))).toBe(false);

  const { status, stdout, stderr } = carried('--quick', '--out', out);
  expect(status, stderr).toBe(0);
  const report = JSON.parse(readFileSync(out, 'utf8'));
  const parts: Record<string, { status: string; reason?: string; result: Record<string, unknown> }> = report.parts;
  const hasLittleTime = expect.stringMatching(/^(done|stopped)$/);
  const statuses = Object.entries(parts).map(([name, part]) => [name, part.status]);
  expect(statuses, stderr).toEqual([
    ['adapter', 'done'],
    ['doctor', 'done'],
    ['cases', 'done'],
    ['tune', hasLittleTime],
    ['kernels', 'done'],
    ['step', 'done'],
    ['pytorch', hasLittleTime],
    ['movielens', 'skipped'],
    ['long', 'done'],
    ['million', 'done'],
  ]);
  expect(parts.adapter.result).toMatchObject({ caps: { maxInvocations: expect.any(Number) } });
  const { count, rows = [] } = parts.cases.result as { count: Record<string, number>; rows?: unknown[] };
  expect(rows).toEqual([]);
  expect(count.failed).toBeUndefined();
  expect(count.passed).toBeGreaterThan(10);
  const kernels = parts.kernels.result.rows as { case: string; fraction: number; error?: string }[];
  expect(kernels.map((row) => row.case)).toEqual(expect.arrayContaining(['sq64', 'sq512', 'layernorm']));
  for (const row of kernels) expect(row.fraction, row.error).toBeGreaterThan(0);
  expect(parts.step.result.tokensPerSecond).toBeGreaterThan(0);
  expect(parts.pytorch.result.rows).toContainEqual({ peer: 'attune', tokensPerSecond: expect.any(Number) });
  expect(parts.movielens.reason).toContain('--data');
  for (const name of ['long', 'million']) expect(parts[name].result.stepMilliseconds).toBeGreaterThan(0);
  expect(stdout).toMatch(/^adapter: .+\nkernel cases: \d+ passed, 0 failed\nroofline: .+ GFLOP\/s, .+ GB\/s\n/);
  expect(stdout).toMatch(/\nbest square product in f32: sq\d+ .+ % of the roofline of f32\n/);
  expect(report.summary.join('\n')).toBe(stdout.trimEnd().split('\n').slice(0, -1).join('\n'));
});

it('a part that fails is recorded with its error, and the next runs', () => {
  const { status, stderr } = carried('--quick', '--only', 'movielens,long', '--data', run, '--out', out);
  expect(status, stderr).toBe(0);
  const { parts } = JSON.parse(readFileSync(out, 'utf8'));
  expect(parts.long.status).toBe('done');
  expect(parts.movielens).toMatchObject({ status: 'failed', reason: expect.stringContaining('run.mjs') });
});

it.each([
  [['--only', 'step,nothing'], '--only nothing: expected one of adapter,'],
  [['--max-minutes', '0'], '--max-minutes 0: expected a number > 0'],
  [['--data', 'nowhere.csv'], '--data nowhere.csv: no such file'],
])('refuses %j', (args, message) => {
  const { status, stderr } = spawnSync(process.execPath, [run, ...args], { cwd: folder, encoding: 'utf8' });
  expect(status).toBe(2);
  expect(stderr).toContain(message);
});
