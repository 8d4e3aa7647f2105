/** The model card: README.md of a model folder, for people. */
import type { Files } from './files.ts';
import { describeProtocol, describeTask, describeTime, storedProtocol } from '../../data/splits/protocol.ts';
import { validatedAt } from '../recipes/derived.ts';
import type { Settings } from '../recipes/settings.ts';
import type { ModelConfig } from './config.ts';

/** What a finished or stopped training has to say about itself. */
export interface CardResult {
  date: Date;
  step: number;
  epoch: number;
  elapsedSeconds: number;
  /** Which part the metrics are of, and whether seen items were ranked. */
  split: 'valid' | 'test';
  seen: 'excluded' | 'kept';
  /** Users evaluated. */
  users: number;
  /** null when no validation has run. */
  metrics: Record<string, number> | null;
  /** What a private training guarantees, and what it does not cover. */
  privacy?: readonly string[];
  /** Name → metrics of simple recommenders on the same split. */
  baselines?: Record<string, Record<string, number>>;
}

const METRICS = ['NDCG@10', 'HR@10', 'MRR', 'Coverage@10'];

/** Replaces README.md. */
export async function writeModelCard(files: Files, config: ModelConfig, result: CardResult): Promise<void> {
  await files.write('README.md', modelCard(config, result));
}

/** The card's text. */
export function modelCard(config: ModelConfig, result: CardResult): string {
  const { data } = config;
  const count = (n: number) => n.toLocaleString('en-US');
  const rating = data.minRating === null ? '' : `, ratings of at least ${data.minRating}`;
  const settings = Object.entries(config.hyperparameters).map(([key, value]) => [key, String(value)]);
  return [
    `# ${cardText(config.recipe)} on ${cardText(data.source)}`,
    `A next-item recommender trained with Attune ${cardText(config.attune)}, ${result.date.toISOString().slice(0, 10)}.`,
    '## Data',
    cardTable(
      ['', ''],
      [
        ['source', data.source],
        ['users', count(data.users)],
        ['items', count(data.items)],
        ['interactions', count(data.interactions)],
        ['filter', `at least ${data.minInteractions} interactions for every user and item${rating}`],
      ],
    ),
    '## Metrics',
    metricsTable(config, result),
    ...(result.privacy ? ['## Privacy', ...result.privacy.map((line) => cardText(`${line}.`))] : []),
    '## Training',
    `${count(result.step)} steps, ${count(result.epoch)} ${result.epoch === 1 ? 'epoch' : 'epochs'} finished, ${count(Math.round(result.elapsedSeconds))} seconds on ${cardText(config.device)}; ` +
      `batches of ${count(config.tokenBudget)} tokens, seed ${config.seed}.`,
    cardTable(['setting', 'value'], settings),
    '## Use',
    '`attune recommend` and `Recommender.load` open this folder. The model knows the items of items.json only,' +
      ' and what it learned is what the shoppers of this log did, popular items and biases included.',
  ]
    .join('\n\n')
    .concat('\n');
}

function metricsTable(config: ModelConfig, result: CardResult): string {
  if (config.protocol === 'final')
    return 'It was trained on all events, with the epochs and the blend that the validation of another model chose, so that nothing is left to measure it on.';
  if (result.privacy) return 'Not validated: that would read the log without noise.';
  if (!result.metrics) return 'No validation has run yet: the weights are those of the last checkpoint.';
  const protocol = storedProtocol(config.protocol, config.protocolParameters, 'config.json');
  const row = (name: string, metrics: Record<string, number>) => [
    name,
    ...METRICS.map((name) => metrics[name]?.toFixed(4) ?? '–'),
  ];
  const rows = [row('this model', result.metrics)];
  for (const [name, metrics] of Object.entries(result.baselines ?? {})) rows.push(row(name, metrics));
  const requestTime = validatedAt(config.hyperparameters as unknown as Settings);
  const how =
    `Target: ${describeTask(protocol, result.split, config.data.items)} (${result.split}), protocol ${cardText(describeProtocol(protocol))}, ${describeTime(requestTime)}, ` +
    `items already seen ${result.seen}, ${result.users.toLocaleString('en-US')} users.`;
  return `${how}\n\n${cardTable(['', ...METRICS], rows)}`;
}

/** User-given words must not break the Markdown around them. */
export function cardText(value: string): string {
  return value.replace(/\s+/g, ' ').replace(/[|\\`*_<>[\]#]/g, '\\$&');
}

export function cardTable(head: string[], rows: string[][]): string {
  const line = (cells: string[]) => `| ${cells.map(cardText).join(' | ')} |`;
  return [line(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(line)].join('\n');
}
