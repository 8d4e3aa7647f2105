/**
 * The parts of the run, in order. `share` is of the time that is left, in minutes of the default twelve; `commands` run
 * side by side. Their JSON lines are the part's result: `{ row }` adds a row, `{ count }` adds up, other keys are set.
 * `partial` is what a part leaves that was stopped or failed.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const own = (file, args = []) => ({
  commands: ({ root, seconds, quick, data }) => [
    [
      process.execPath,
      join(root, 'bench/gpu', file),
      ...args,
      `--seconds=${seconds}`,
      ...(quick ? ['--quick'] : []),
      ...(data ? [`--data=${data}`] : []),
    ],
  ],
});

const attune = (...args) => ({
  commands: ({ root }) => [[process.execPath, join(root, 'dist/cli/main.js'), ...args, '--json']],
});

/** Seconds that `train` may take beyond --max-minutes: reading the log, the last validation, the test. */
const TRAIN_ENDS = 30;

/** What `tune` had stored when it was stopped. */
function tuned({ work }) {
  const folder = join(work, 'cache/attune');
  if (!existsSync(folder)) return {};
  const files = readdirSync(folder).filter((name) => /^tuning-\w+\.json$/.test(name));
  return Object.assign({}, ...files.map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8'))));
}

export const PARTS = [
  { name: 'adapter', share: 0.25, ...own('adapter.mjs') },
  { name: 'doctor', share: 0.75, ...attune('doctor') },
  {
    name: 'cases',
    share: 3,
    quickSeconds: 3,
    // Most of the time goes into compiling, which takes one core; a software adapter takes the others.
    commands: ({ cases, seconds, cores }) => {
      const shards = Math.max(1, Math.min(8, cores >> 1));
      return Array.from({ length: shards }, (_, i) => [
        process.execPath,
        cases,
        `--seconds=${seconds}`,
        `--shard=${i}/${shards}`,
      ]);
    },
  },
  { name: 'tune', share: 1.5, quickSeconds: 1, ...attune('tune'), partial: tuned },
  { name: 'kernels', share: 2, ...own('kernels.mjs') },
  { name: 'step', share: 0.5, ...own('step.mjs') },
  { name: 'pytorch', share: 1.25, quickSeconds: 8, ...own('pytorch.mjs') },
  {
    name: 'movielens',
    share: 2.75,
    skip: ({ data }) => (data ? null : 'no log: give MovieLens 1M with --data FILE'),
    commands: ({ root, work, data, seconds, quick }) => {
      const minutes = quick ? 0.1 : Math.min(2, Math.max(0.1, (seconds - TRAIN_ENDS) / 60));
      const flags = ['--data', data, '--out', join(work, 'model'), '--device', 'webgpu'];
      flags.push('--max-minutes', minutes.toFixed(2), '--json');
      return [[process.execPath, join(root, 'dist/cli/main.js'), 'train', ...flags]];
    },
  },
  { name: 'long', share: 0.5, ...own('large.mjs', ['long']) },
  { name: 'million', share: 0.5, ...own('large.mjs', ['million']) },
];
