import { command, type FlagsOf, required, withDefault } from '../flags/declare.ts';
import { device, queue } from '../flags/shared.ts';
import { integerFlag } from '../flags/values.ts';
import { text } from '../flags/declare.ts';

const flags = {
  queue: required(queue('where jobs come from')),
  workspace: withDefault(text('<dir>', 'folder that the paths of jobs start from'), '.'),
  concurrency: withDefault(integerFlag('<n>', 'jobs at a time', 1), 1),
  device,
};

export type WorkerFlags = FlagsOf<typeof flags>;

export default command({
  name: 'worker',
  summary: 'Do what other commands ask for with --queue',
  details:
    'Takes jobs from a queue in Redis until Ctrl-C: trials of attune search, rounds of cross-validation, partitions of attune recommend --all and of attune train --workers. Each runs as a command in a process of its own. Data and models are files: mount the folder that they are in on every machine, name it with --workspace, and give paths relative to it. A job whose worker dies is done elsewhere. Whoever can write to that Redis can train and write lists here as this user: keep it to machines that you trust.',
  example: 'worker --queue redis://10.0.0.5:6379 --workspace /mnt/shop',
  flags,
  run: async (flags) => (await import('./worker.ts')).runWorkerCommand(flags),
});
