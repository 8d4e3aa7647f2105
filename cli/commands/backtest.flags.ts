import { STRATEGIES, type StrategyName } from '../../train/backtest/strategies.ts';
import { command, type FlagsOf, on, parsed, required, text, withDefault } from '../flags/declare.ts';
import { data, device, filterFlags, json, leaveOneOutFlag, logFlags, progress, set } from '../flags/shared.ts';
import { duration, integerFlag, numberFlag } from '../flags/values.ts';
import { InputError } from '../../data/errors.ts';

const ALL = Object.keys(STRATEGIES) as StrategyName[];

/** @throws InputError for a name that there is not */
function parseStrategies(given: string): StrategyName[] {
  return given.split(',').map((part) => {
    const name = ALL.find((known) => known === part.trim());
    if (!name)
      throw new InputError(
        'invalid-value',
        `${JSON.stringify(part.trim())}: no such strategy; there is ${ALL.join(', ')}`,
      );
    return name;
  });
}

const flags = {
  data: required(data('the log; it must have times')),
  every: withDefault(duration('<time>', 'length of a period, after which models learn what is new'), 604_800, '7d'),
  strategies: withDefault(
    parsed<StrategyName[]>('<names>', 'what is compared, with commas between', parseStrategies),
    ALL,
    ALL.join(','),
  ),
  maxMinutes: numberFlag(
    '<m>',
    'time in total, divided among the trainings (default: validation or --epochs ends those from nothing, and updates have a tenth of the tokens)',
    {
      above: 0,
    },
  ),
  start: withDefault(
    numberFlag('<share>', 'share of the events that the first model is trained on', { min: 0.05, max: 0.95 }),
    0.5,
  ),
  targets: withDefault(integerFlag('<n>', 'events of a user that are predicted in a period, at most', 1), 5),
  replay: numberFlag('<r>', 'of updates: tokens of old events for each token of a window with new ones', { min: 0 }),
  learningRate: numberFlag('<x>', 'of updates', { above: 0 }),
  items: text('<path>', 'titles and attributes of the items'),
  users: text('<path>', 'columns of the users, which models then read'),
  recipe: text('<name>', 'what to train (default: chosen by the size of the log)'),
  protocol: leaveOneOutFlag,
  epochs: integerFlag('<n>', 'of trainings from nothing, at most', 1),
  ...filterFlags,
  minRating: numberFlag('<r>', 'count only rows with at least this rating (default: every row counts)'),
  ...logFlags,
  set: set('change a setting of the recipe'),
  seed: withDefault(integerFlag('<n>', 'one seed for all', 0), 1),
  includeSeen: on('items that the user had before are ranked and predicted, too'),
  device,
  progress,
  json,
};

export type BacktestFlags = FlagsOf<typeof flags>;

export default command({
  name: 'backtest',
  summary: 'Walk through a log as it happened, and compare ways to keep a model up to date',
  details:
    "The first model is trained on the first half of the events (--start). Then each period passes, every strategy learns from it, and is judged on the next: the first events of each user there whose items are new to the user, each predicted from all events before it, among the strategy's whole catalog. Users with events before the period are warm, others cold. A training from nothing gets the time of the first one, an update a tenth of it.",
  example: 'backtest --data ratings.csv --every 7d --max-minutes 10',
  flags,
  notes: [
    `Strategies:\n${Object.entries(STRATEGIES)
      .map(([name, { summary }]) => `  ${name.padEnd(10)}${summary}`)
      .join('\n')}`,
  ],
  run: async (flags) => (await import('./backtest.ts')).runBacktest(flags),
});
