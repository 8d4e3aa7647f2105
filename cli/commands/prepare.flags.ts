import { command, type FlagsOf, required, text } from '../flags/declare.ts';
import { data, filterFlags, json, logFlags, overwrite, progress } from '../flags/shared.ts';
import { numberFlag } from '../flags/values.ts';

const flags = {
  data: required(data('the log')),
  out: required(text('<dir>', 'folder of the dataset')),
  events: text('<names>', 'columns of the log to keep as event context, as device,shop (train --events reads them)'),
  ...filterFlags,
  minRating: numberFlag('<r>', 'count only rows with at least this rating (default: every row counts)'),
  ...logFlags,
  overwrite: overwrite('the dataset in --out'),
  progress,
  json,
};

export type PrepareFlags = FlagsOf<typeof flags>;

export default command({
  name: 'prepare',
  summary: 'Write a log as a dataset that is read as it trains, for logs larger than memory',
  details:
    'Filters the log, numbers its users and items, sorts the histories by time and writes them to a folder, which train, evaluate, compare and search take as --data. It gives the same model as the log itself. The filter is that of the dataset: for another one, prepare the log again.',
  example: 'prepare --data "events/*.csv" --out dataset',
  flags,
  async run(flags) {
    await (await import('./prepare.ts')).runPrepare(flags);
  },
});
