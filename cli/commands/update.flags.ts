import { command, type FlagsOf, required, text, withoutDefault } from '../flags/declare.ts';
import { data, device, json, logFlags, model, overwrite, progress, vectors } from '../flags/shared.ts';
import { integerFlag, numberFlag } from '../flags/values.ts';

const flags = {
  model: { ...model, help: 'the model to start from, which stays as it is: a folder, or one packed file' },
  data: required(data('the new events, or a log that holds them besides the old ones')),
  log: withoutDefault(data("the log of the model's training"), 'the path in its config.json'),
  out: required(text('<dir>', 'folder of the new model')),
  items: text('<path>', 'titles and attributes of new items: CSV or TSV with a header, Parquet, or movies.dat'),
  vectors,
  users: text('<path>', 'columns of the users, for models that read them'),
  replay: numberFlag('<r>', 'tokens of old events for each token of a window with new ones (default: 1)', { min: 0 }),
  learningRate: numberFlag(
    '<x>',
    'learning rate; the item table has six times as much (default: half of that of the training)',
    { above: 0 },
  ),
  epochs: integerFlag('<n>', 'stop after this many passes over the new events', 1),
  maxMinutes: numberFlag('<m>', 'stop in time to have everything saved after this many minutes', { above: 0 }),
  ...logFlags,
  device,
  overwrite: overwrite('the model in --out'),
  progress,
  json,
};

export type UpdateFlags = FlagsOf<typeof flags>;

export default command({
  name: 'update',
  summary: 'Update a model with new events, users and items, as a new model beside it',
  details:
    "Starts from the model's weights, trains on the new events and a uniform sample of the old ones, and makes the item transitions and the blend anew from all of them. New items get a row of their own, which starts from their attributes or their neighbors. Late events take their position in time, and events that are in both logs count once. Without --epochs and --max-minutes, early stopping on validation decides; weights that are worse than those it started from are never kept.",
  example: 'update --model my-model --data new-events.csv --out my-model-2 --max-minutes 5',
  flags,
  run: async (flags) => (await import('./update.ts')).runUpdate(flags),
});
