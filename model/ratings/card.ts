/** The model card of a rating model: README.md of its folder. */
import { cardTable, cardText } from '../storage/card.ts';
import type { Files } from '../storage/files.ts';
import type { ModelConfig } from '../storage/config.ts';

export interface RatingCard {
  date: Date;
  /** As `--protocol` takes it. */
  split: string;
  /** Tested. */
  ratings: number;
  elapsedSeconds: number;
  /** Of each round. */
  epochs: readonly number[];
  /** What stands for the predicted distribution. */
  point: 'mean' | 'median';
  /** Name → metrics. */
  rows: Record<string, object>;
}

/** Replaces README.md. */
export async function writeRatingCard(files: Files, config: ModelConfig, card: RatingCard): Promise<void> {
  const { data, task, positive } = config;
  const count = (n: number) => n.toLocaleString('en-US');
  const names = Object.keys(Object.values(card.rows)[0] ?? {});
  const rows = Object.entries(card.rows).map(([name, row]) => [
    name,
    ...names.map((metric) => (row as Record<string, number | null>)[metric]?.toFixed(4) ?? '–'),
  ]);
  const what =
    task === 'ctr'
      ? `whether a rating is at least ${positive}, as a probability`
      : `ratings; a prediction is the ${card.point} of the predicted distribution`;
  const text = [
    `# Ratings of ${cardText(data.source)}`,
    `A model of ratings trained with Attune ${cardText(config.attune)}, ${card.date.toISOString().slice(0, 10)}. It predicts ${what}.`,
    '## Data',
    cardTable(
      ['', ''],
      [
        ['source', data.source],
        ['users', count(data.users)],
        ['items', count(data.items)],
        ['ratings', count(data.interactions)],
      ],
    ),
    '## Metrics',
    `Of ${count(card.ratings)} ratings that the model predicting them was not trained on; protocol ${cardText(card.split)}.`,
    cardTable(['', ...names], rows),
    '## Training',
    `Epochs of each round: ${card.epochs.map((n) => Number(n.toFixed(1))).join(', ')}; ${count(Math.round(card.elapsedSeconds))} seconds on ${cardText(config.device)}, seed ${config.seed}.`,
    cardTable(
      ['setting', 'value'],
      Object.entries(config.hyperparameters).map(([key, value]) => [key, String(value)]),
    ),
  ];
  await files.write('README.md', `${text.join('\n\n')}\n`);
}
