import { command, type FlagsOf, required, text } from '../flags/declare.ts';
import { data, device, json, logFlags, progress } from '../flags/shared.ts';
import { integerFlag, numberFlag } from '../flags/values.ts';

const flags = {
  data: required(data('the log with the history to train on, which stays here')),
  user: text('<id>', 'whose history, where the log has several users'),
  rounds: integerFlag('<n>', 'take part in so many rounds at most (default: all)', 1),
  leastNoise: numberFlag('<s>', 'refuse a coordinator that asks for less noise', { min: 0 }),
  keyFile: text('<file>', 'file with an API key of the coordinator'),
  ...logFlags,
  device,
  progress,
  json,
};

export type JoinFlags = FlagsOf<typeof flags>;

export default command({
  name: 'join',
  summary: 'Take part in federated rounds with a history of your own',
  details:
    'Downloads the shared model from the coordinator (attune federate), trains on the history in --data, clips and noises the change as the coordinator asks, and sends that: one update a round, until all rounds are over. The history itself is never sent; docs/federated.md says what an update shows of it.',
  args: [{ name: 'url', help: 'address of the coordinator, as http://127.0.0.1:8090' }],
  example: 'join http://127.0.0.1:8090 --data own.csv',
  flags,
  run: async (flags, { args }) => (await import('./join.ts')).runJoin(flags, args[0]),
});
